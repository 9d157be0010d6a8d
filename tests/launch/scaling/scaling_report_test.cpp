#include "launch/scaling/scaling_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <sstream>

#include "launch/scaling/scaling_plot.h"

namespace lockstep {
namespace {

ScalingPoint point(ScalingMode mode, int64_t ranks, double samples_per_s) {
  ScalingPoint result;
  result.mode = mode;
  result.ranks = ranks;
  result.global_batch = mode == ScalingMode::weak ? 64 * ranks : 64;
  result.threads = 1;
  result.samples_per_s = {samples_per_s, 0.9 * samples_per_s, 1.1 * samples_per_s};
  const double ms = 1e3 * static_cast<double>(result.global_batch) / samples_per_s;
  result.step_ms = {ms, ms, ms};
  result.compute_ms = 0.8 * ms;
  result.wait_ms = 0.05 * ms;
  result.communication_ms = 0.15 * ms;
  return result;
}

/// Two modes whose fewest ranks are 2.
ScalingResult example() {
  ScalingResult result;
  result.title = "a < b & c";
  for (const ScalingMode mode : {ScalingMode::weak, ScalingMode::strong})
    for (const int64_t ranks : {2, 4, 8})
      result.points.push_back(point(mode, ranks, 900.0 * double(ranks) + 200));
  result.model = ScalingModel();
  result.model->seconds_per_sample = 1e-3;
  result.model->bucket_bytes = {4e6};
  result.model->overlap = true;
  result.model->fabric = {8, {1e-6, 1e-11}, {1e-5, 1e-10}, 0};
  for (const int64_t ranks : {16, 64})
    result.predictions.push_back(
        {ScalingMode::weak, ranks, 64, 1e3 * double(ranks), 0.97, result.model->cost(ranks, 64), 4e6});
  result.held_out.push_back({ScalingMode::weak, 4, 80, 90});
  return result;
}

TEST(ScalingReport, SpeedUpAndEfficiencyAreAgainstTheFewestRanks) {
  const ScalingResult result = example();
  EXPECT_DOUBLE_EQ(speed_up(result, result.points[0]), 1);
  EXPECT_DOUBLE_EQ(efficiency(result, result.points[0]), 1);
  EXPECT_DOUBLE_EQ(speed_up(result, result.points[1]), 3800.0 / 2000);
  EXPECT_DOUBLE_EQ(efficiency(result, result.points[1]), 1900.0 / 2000);
  EXPECT_DOUBLE_EQ(efficiency(result, result.points[5]), 7400.0 / 2000 / 4);
}

TEST(ScalingReport, TextSaysWhereTheTimeWentAndFitsATerminal) {
  testing::internal::CaptureStdout();
  print_scaling(example());
  std::fflush(stdout);
  const std::string text = testing::internal::GetCapturedStdout();
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
  for (const char* part : {"weak scaling", "strong scaling", "1.90x", "95.0 %", "where a step's time went",
                           "+12.5 %", "predicted step", "exposed communication by bucket size"})
    EXPECT_THAT(text, testing::HasSubstr(part));
  // 4 weak ranks: 256 samples at 3800 a second take 67.368 ms, at the speed of two 64.
  EXPECT_TRUE(
      std::regex_search(text, std::regex(R"(\n +4 +67\.368 +64\.000 +-10\.105 +\+3\.368 +\+10\.105\n)")))
      << text;
}

TEST(ScalingReport, CsvHasALineForEachPointAndAsManyFieldsAsItsHeading) {
  std::istringstream lines(scaling_csv(example()));
  std::vector<std::string> kinds;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), 10) << line;
    kinds.push_back(line.substr(0, line.find(',')));
  }
  EXPECT_THAT(kinds, testing::ElementsAre("kind", "measured", "measured", "measured", "measured", "measured",
                                          "measured", "held out", "predicted", "predicted"));
}

TEST(ScalingReport, JsonHoldsTheSameFacts) {
  const Json json = scaling_json(example());
  EXPECT_EQ(json["points"].size(), 6u);
  EXPECT_DOUBLE_EQ(json["points"][1]["efficiency"].get<double>(), 0.95);
  EXPECT_DOUBLE_EQ(json["held_out"][0]["error"].get<double>(), 0.125);
  EXPECT_EQ(json["predictions"][1]["ranks"], 64);
}

TEST(ScalingPlot, IsWellFormedAndStaysInsideThePicture) {
  ScalingResult result = example();
  const std::string svg = scaling_plot(result);
  EXPECT_THAT(svg, testing::StartsWith("<svg "));
  EXPECT_THAT(svg, testing::HasSubstr("<title>a &lt; b &amp; c</title>"));
  // Every element that is opened is closed.
  std::vector<std::string> open;
  const std::regex tag(R"(<(/?)([a-z]+)[^>]*?(/?)>)");
  for (std::sregex_iterator at(svg.begin(), svg.end(), tag), end; at != end; ++at) {
    if ((*at)[1].length() > 0) {
      ASSERT_FALSE(open.empty());
      EXPECT_EQ(open.back(), (*at)[2]);
      open.pop_back();
    } else if ((*at)[3].length() == 0) {
      open.push_back((*at)[2]);
    }
  }
  EXPECT_TRUE(open.empty());
  const std::regex x(R"rx( (?:x|x1|x2|cx)="([^"]*)")rx"), y(R"rx( (?:y|y1|y2|cy)="([^"]*)")rx");
  const auto inside = [&](const std::regex& name, double most) {
    int count = 0;
    for (std::sregex_iterator at(svg.begin(), svg.end(), name), end; at != end; ++at, ++count) {
      const double value = std::stod((*at)[1]);
      EXPECT_TRUE(value >= 0 && value <= most) << at->str();
    }
    EXPECT_GT(count, 20);
  };
  inside(x, 960);
  inside(y, 400);
  // Six measured points, two predicted ones; three parts a bar.
  const auto count = [&](const std::string& what) {
    int found = 0;
    for (size_t at = svg.find(what); at != std::string::npos; at = svg.find(what, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count("<circle"), 8);
  EXPECT_EQ(count("fill-opacity"), 6);

  result.points.clear();
  result.predictions.clear();
  EXPECT_THAT(scaling_plot(result), testing::HasSubstr("</svg>")) << "also of nothing";
}

TEST(ScalingPlot, DrawsASpeedUpBelowOneBelowOne) {
  ScalingResult result;
  // Half and a quarter of the speed of one rank.
  for (const auto& [ranks, speed] : {std::pair{1, 1000.0}, {2, 500.0}, {4, 250.0}})
    result.points.push_back(point(ScalingMode::strong, ranks, speed));
  const std::string svg = scaling_plot(result);
  std::vector<double> heights;
  const std::regex circle("<circle [^>]*cy=\"([^\"]*)\"");
  for (std::sregex_iterator at(svg.begin(), svg.end(), circle), end; at != end; ++at)
    heights.push_back(std::stod((*at)[1]));
  ASSERT_EQ(heights.size(), 3u);
  EXPECT_NEAR(heights[1] - heights[0], heights[2] - heights[1], 0.2) << "each one octave further down";
  EXPECT_GT(heights[1], heights[0] + 10);
  EXPECT_LE(heights[2], 340) << "inside the axes";
  for (const char* label : {">0.5</text>", ">0.25</text>", ">1</text>", ">4</text>"})
    EXPECT_THAT(svg, testing::HasSubstr(label));
}

}  // namespace
}  // namespace lockstep
