// `lockstep bench step --account`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include "launch/report/report.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

Json account(const std::string& model, int batch, bool all_blocks = false) {
  std::vector<std::string> arguments = {"bench",  "step",  "--account",
                                        "--json", "--set", "model.name=" + model};
  for (const char* const key : {"train.global_batch=", "train.micro_batch="}) {
    arguments.emplace_back("--set");
    arguments.push_back(key + std::to_string(batch));
  }
  if (all_blocks) arguments.emplace_back("--all-blocks");
  const ProgramResult result = run_program(lockstep_command(1, arguments), ".");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return Json::parse(result.out)["step"];
}

uint64_t sum_of(const Json& entries, const char* key) {
  uint64_t sum = 0;
  for (const Json& entry : entries) sum += entry[key].get<uint64_t>();
  return sum;
}

TEST(BenchAccount, PartsKernelsAndNodesAddUpToTheGraph) {
  const Json step = account("mlp", 32);
  for (const char* const list : {"parts", "kernels"})
    for (const char* const key : {"nodes", "bytes", "accessed_bytes", "flops"})
      EXPECT_EQ(sum_of(step[list], key), step[key].get<uint64_t>()) << list << " " << key;
  EXPECT_EQ(step["graph_nodes"].size(), step["nodes"].get<size_t>());
}

TEST(BenchAccount, CountsTheProductsOfAnMlp) {
  const Json step = account("mlp", 32);
  // Forward, gradient of the weights, and of the input but in the first layer.
  uint64_t products = 0;
  for (const Json& kernel : step["kernels"])
    if (kernel["name"] == "matmul") products = kernel["flops"].get<uint64_t>();
  uint64_t expected = 0;
  const uint64_t sizes[] = {784, 64, 10};
  for (size_t i = 0; i + 1 < std::size(sizes); ++i)
    expected += (i == 0 ? 2 : 3) * 2 * 32 * sizes[i] * sizes[i + 1];
  EXPECT_EQ(products, expected);
}

TEST(BenchAccount, BlocksThatAreNotEmulatedChangeNoNode) {
  const Json some = account("cnn", 128)["graph_nodes"];
  const Json all = account("cnn", 128, /*all_blocks=*/true)["graph_nodes"];
  ASSERT_EQ(some.size(), all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    const auto name = all[i]["name"].get<std::string>();
    // It adds only words that are not zero, and values mean nothing.
    const bool depends_on_values = name.starts_with("sum_squares_kernel");
    for (const char* const key : {"name", "bytes", "flops"}) EXPECT_EQ(some[i][key], all[i][key]) << name;
    if (!depends_on_values) {
      EXPECT_EQ(some[i]["accessed_bytes"], all[i]["accessed_bytes"]) << name;
    }
  }
}

}  // namespace
}  // namespace lockstep
