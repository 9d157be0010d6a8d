// Every golden file in tests/golden, computed by Lockstep.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "src/core/text/json.h"
#include "tests/models/golden.h"
#include "tests/models/parity_run.h"
#include "tests/support/backend.h"
#include "tests/support/compare.h"

namespace lockstep {
namespace {

using test::distance;
using test::Doubles;
using test::norm;

/// Relative norms, by the first word of an entry's name. Those of weights after steps relate to their change.
const std::map<std::string, double> kTolerances = {
    {"output", 1e-5}, {"gradient", 1e-4}, {"first", 1e-5}, {"last", 1e-4}};

/// The values to compare with: PyTorch's of float64 where its float32 run is not close to them.
Doubles reference(const Golden::Entry& entry) {
  return entry.exact.empty() ? test::to_double(entry.single) : entry.exact;
}

/// A golden case against a run, and the largest relative norm of each kind.
class Comparison {
 public:
  Comparison(const Golden& golden, const ParityRun& run) : golden_(golden), run_(run) {
    double squares = 0;
    for (const std::string& name : golden.names("gradient"))
      squares += std::pow(norm(reference(golden.at(name))), 2);
    all_gradients_ = std::sqrt(squares);
  }

  std::map<std::string, double> worst() const { return worst_; }

  void expect_equal() {
    expect_losses();
    std::set<std::string> expected;
    for (const auto& [kind, tolerance] : kTolerances)
      for (const std::string& name : golden_.names(kind)) expected.insert(name);
    EXPECT_GT(expected.size(), 2u);
    for (const auto& [name, values] : run_.values)
      EXPECT_TRUE(expected.contains(name)) << "PyTorch has no " << name;
    for (const std::string& name : expected) {
      const auto found = run_.values.find(name);
      if (found == run_.values.end())
        ADD_FAILURE() << "Lockstep has no " << name;
      else
        expect_equal(name, test::to_double(found->second));
    }
  }

 private:
  void expect_losses() {
    const std::vector<double> single = golden_.facts.at("losses"), exact = golden_.facts.at("exact_losses");
    ASSERT_EQ(run_.losses.size(), single.size());
    for (size_t i = 0; i < single.size(); ++i) {
      const double allowed = std::max((i == 0 ? 1e-5 : 1e-4) * exact[i], 2 * std::abs(single[i] - exact[i]));
      EXPECT_NEAR(run_.losses[i], exact[i], allowed) << "loss of step " << i + 1;
    }
  }

  void expect_equal(const std::string& name, const Doubles& actual) {
    const Golden::Entry& entry = golden_.at(name);
    const Doubles expected = reference(entry);
    ASSERT_EQ(actual.size(), expected.size()) << name;
    const std::string kind = name.substr(0, name.find(' '));
    const double off = distance(actual, expected), scale = scale_of(kind, name, expected);
    if (kind == "gradient" && scale <= 1e-8 * all_gradients_) {
      // Zero but for rounding: of a bias ahead of batch norm, say.
      EXPECT_LE(off, 1e-6 * all_gradients_) << name << " should be zero";
      return;
    }
    double allowed = kTolerances.at(kind) * scale;
    if (!entry.exact.empty())
      allowed = std::max(allowed, 2 * distance(test::to_double(entry.single), expected));
    // Each step also rounds the weight to which it adds its change.
    if (kind == "last") allowed += 0x1p-22 * norm(expected);
    const size_t worst = farthest(actual, expected);
    EXPECT_LE(off, allowed) << fmt::format(
        "{}: relative norm {:.2g} to PyTorch's {} run, of norm {:.2g}; element {} is {:.7g}, not {:.7g}",
        name, off / scale, entry.exact.empty() ? "float32" : "float64", scale, worst, actual[worst],
        expected[worst]);
    if (scale > 0) worst_[kind] = std::max(worst_[kind], off / scale);
  }

  static size_t farthest(const Doubles& actual, const Doubles& expected) {
    size_t worst = 0;
    for (size_t i = 0; i < actual.size(); ++i)
      if (std::abs(actual[i] - expected[i]) > std::abs(actual[worst] - expected[worst])) worst = i;
    return worst;
  }

  /// By what a distance is divided.
  double scale_of(const std::string& kind, const std::string& name, const Doubles& expected) const {
    if (kind != "last") return norm(expected);
    return distance(expected, test::to_double(golden_.at("start" + name.substr(name.find(' '))).single));
  }

  const Golden& golden_;
  const ParityRun& run_;
  double all_gradients_ = 0;
  std::map<std::string, double> worst_;
};

/// The facts of a test for the table in docs/parity.md (tests/golden/table.py): a row for each model of the
/// registry, and one for all cases of a file that come from model files.
class Report {
 public:
  void add(const std::string& file, const Golden& golden, const std::map<std::string, double>& worst) {
    nlohmann::json& row = rows_[golden.facts.at("model").value("name", file)];
    if (row.is_null()) row = nlohmann::json::object();
    row["cases"] = row.value("cases", 0) + 1;
    row["parameters"] = std::max(row.value("parameters", int64_t{0}), golden.parameters());
    row["torch"] = golden.facts.at("torch");
    for (const auto& [kind, value] : worst) raise(row["lockstep"][kind], value);
    for (const auto& [kind, value] : golden.facts.at("float32_error").items())
      raise(row["pytorch"][kind], value.get<double>());
  }
  std::string json() const { return to_text(rows_); }

 private:
  static void raise(nlohmann::json& max, double value) {
    max = std::max(max.is_null() ? 0.0 : max.get<double>(), value);
  }
  nlohmann::json rows_;
};

using FileAndBackend = std::tuple<std::string, Backend>;

class ParityTest : public testing::TestWithParam<FileAndBackend> {
 protected:
  void SetUp() override { test::use_backend(std::get<Backend>(GetParam()), exec_); }
  Exec exec_;
};
INSTANTIATE_TEST_SUITE_P(Golden, ParityTest,
                         testing::Combine(testing::ValuesIn(golden_files()),
                                          testing::Values(Backend::cpu, Backend::cuda)),
                         [](const auto& parameters) {
                           return to_string(std::get<Backend>(parameters.param)) + "_" +
                                  std::get<std::string>(parameters.param);
                         });

TEST_P(ParityTest, EqualsPyTorch) {
  Report report;
  const std::string& file = std::get<std::string>(GetParam());
  for (const Golden& golden : read_golden(file)) {
    SCOPED_TRACE(golden.name);
    const ParityRun run = run_golden(exec_, golden);
    Comparison comparison(golden, run);
    comparison.expect_equal();
    report.add(file, golden, comparison.worst());
  }
  RecordProperty("parity", report.json());
}

TEST(Parity, EveryArchitectureHasAGoldenFile) {
  std::set<std::string> missing;
  for (const ModelEntry& entry : model_registry()) missing.insert(entry.name);
  for (const std::string& file : golden_files())
    for (const Golden& golden : read_golden(file)) missing.erase(golden.facts.at("model").value("name", ""));
  EXPECT_TRUE(missing.empty()) << "tests/golden has no file for "
                               << fmt::format("{}", fmt::join(missing, ", "));
}

}  // namespace
}  // namespace lockstep
