#include "launch/devices/device_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <sstream>

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::Not;

DevicePoint point(Work work, Place place, int64_t batch, double ms) {
  const double speed = 1000 * static_cast<double>(batch) / ms;
  return {.work = work,
          .place = place,
          .batch = batch,
          .ms = {ms, 0.75 * ms, 1.25 * ms},
          .samples_per_s = {speed, speed / 1.25, speed / 0.75}};
}

/// Two threads and a GPU, whose energy is known.
DeviceResult example() {
  const Place one{Backend::cpu, 1}, two{Backend::cpu, 2}, gpu{Backend::cuda, 0};
  DeviceResult result{.model = "a < b & c",
                      .input = {28, 28, 1},
                      .outputs = 10,
                      .cpu = "Fast CPU",
                      .cores = 2,
                      .gpu = "Fast GPU",
                      .repeats = 3,
                      .runs = {.points = {},
                               .parameters = 118282,
                               .timed_steps = 100,
                               .warm_up_steps = 10,
                               .cpu_energy_reason = "",
                               .gpu_energy_reason = ""}};
  result.runs.points = {point(Work::training, one, 128, 16),   point(Work::training, two, 128, 10),
                        point(Work::training, gpu, 128, 0.5),  point(Work::prediction, one, 64, 2),
                        point(Work::prediction, two, 64, 1.6), point(Work::prediction, gpu, 64, 0.1)};
  for (DevicePoint& each : result.runs.points) {
    each.cpu_mj = 12.5;
    if (each.place == gpu) each.gpu_mj = 1.25;
  }
  return result;
}

/// The same where there is neither a GPU nor an energy counter.
DeviceResult cpu_alone() {
  DeviceResult result = example();
  std::erase_if(result.runs.points,
                [](const DevicePoint& each) { return each.place.backend == Backend::cuda; });
  for (DevicePoint& each : result.runs.points) each.cpu_mj.reset();
  result.gpu = "none: this build has no CUDA backend";
  result.runs.cpu_energy_reason = "/sys/class/powercap has no intel-rapl:N of a CPU package";
  return result;
}

std::string printed(const DeviceResult& result) {
  testing::internal::CaptureStdout();
  print_devices(result);
  std::fflush(stdout);
  return testing::internal::GetCapturedStdout();
}

TEST(DeviceReport, ComparesDevicesInATable) {
  EXPECT_EQ(printed(example()), R"(model   a < b & c, 118,282 parameters; samples of (28, 28, 1), 10 outputs
CPU     Fast CPU, 2 usable cores
GPU     Fast GPU
timed   100 steps after 10 of warm-up, then predictions of as many samples, also
        warm; 3 runs per point, in turns, each in a process of its own

training: forward, backward and update
device  threads  batch      ms     min     max  samples/s  speed-up     mJ
cpu           1    128   16.00   12.00   20.00      8,000     1.00x  12.50
cpu           2    128   10.00   7.500   12.50     12,800     1.60x  12.50
cuda               128  0.5000  0.3750  0.6250    256,000    32.00x  1.250

prediction: forward only, in the batches of eval and predict
device  threads  batch      ms     min     max  samples/s  speed-up     mJ
cpu           1     64   2.000   1.500   2.500     32,000     1.00x  12.50
cpu           2     64   1.600   1.200   2.000     40,000     1.25x  12.50
cuda                64  0.1000  0.0750  0.1250    640,000    20.00x  1.250

ms: per batch; mJ: per sample, of the CPU packages or of the GPU's board
speed-up: samples/s relative to 1 CPU thread and the same batch
)");
}

TEST(DeviceReport, SaysOnceThatThereIsNoEnergyCounter) {
  const std::string text = printed(cpu_alone());
  EXPECT_THAT(text, HasSubstr("\nGPU     none: this build has no CUDA backend\n"));
  EXPECT_THAT(text, HasSubstr("\nenergy  of the CPU packages: not available: /sys/class/powercap has no"));
  EXPECT_EQ(text.find("not available"), text.rfind("not available"));
  EXPECT_THAT(text, Not(HasSubstr("mJ")));
}

TEST(DeviceReport, FitsATerminal) {
  DeviceResult large = example();
  for (DevicePoint& each : large.runs.points) {
    each.batch = 65536;
    each.ms = {12345.6, 1234.56, 123456};
    each.samples_per_s.median = 9876543;
  }
  for (const std::string& text : {printed(example()), printed(cpu_alone()), printed(large)}) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(DeviceReport, LeavesOutTheSpeedUpWithoutACpu) {
  DeviceResult result = example();
  std::erase_if(result.runs.points,
                [](const DevicePoint& each) { return each.place.backend == Backend::cpu; });
  EXPECT_THAT(printed(result), Not(HasSubstr("relative to")));
  EXPECT_TRUE(devices_json(result)["points"][0]["speed_up"].is_null());
}

TEST(DeviceReport, CsvHasALineForEachPoint) {
  EXPECT_EQ(
      devices_csv(example()),
      "work,device,threads,batch,ms_per_batch,ms_per_batch_min,ms_per_batch_max,samples_per_s,"
      "samples_per_s_min,samples_per_s_max,speed_up,cpu_mj_per_sample,gpu_mj_per_sample\n"
      "training,cpu,1,128,16,12,20,8000,6400,10666.666666666666,1,12.5,\n"
      "training,cpu,2,128,10,7.5,12.5,12800,10240,17066.666666666668,1.6,12.5,\n"
      "training,cuda,,128,0.5,0.375,0.625,256000,204800,341333.3333333333,32,12.5,1.25\n"
      "prediction,cpu,1,64,2,1.5,2.5,32000,25600,42666.666666666664,1,12.5,\n"
      "prediction,cpu,2,64,1.6,1.2000000000000002,2,40000,32000,53333.333333333336,1.25,12.5,\n"
      "prediction,cuda,,64,0.1,0.07500000000000001,0.125,640000,512000,853333.3333333334,20,12.5,1.25\n");
}

TEST(DeviceReport, JsonHoldsTheSameFacts) {
  const Json json = devices_json(cpu_alone());
  EXPECT_EQ(to_text(json["points"][1]),
            R"({"work":"training","device":"cpu","threads":2,"batch":128,"ms_per_batch":10.0,)"
            R"("ms_per_batch_min":7.5,"ms_per_batch_max":12.5,"samples_per_s":12800.0,)"
            R"("samples_per_s_min":10240.0,"samples_per_s_max":17066.666666666668,"speed_up":1.6,)"
            R"("cpu_mj_per_sample":null,"gpu_mj_per_sample":null})");
  Json head = json;
  head.erase("points");
  EXPECT_EQ(to_text(head),
            R"({"model":"a < b & c","parameters":118282,"input":[28,28,1],"outputs":10,"cpu":"Fast CPU",)"
            R"("cores":2,"gpu":"none: this build has no CUDA backend","timed_steps":100,"warm_up_steps":10,)"
            R"("repeats":3,"cpu_energy_reason":"/sys/class/powercap has no intel-rapl:N of a CPU package",)"
            R"("gpu_energy_reason":""})");
  EXPECT_TRUE(devices_json(example())["points"][2]["threads"].is_null());
}

TEST(DevicePlot, DrawsABarForEachPointInsideThePicture) {
  const std::string svg = devices_plot(example());
  EXPECT_THAT(svg, testing::StartsWith("<svg "));
  EXPECT_THAT(svg, testing::EndsWith("</svg>\n"));
  EXPECT_THAT(svg, HasSubstr("<title>a &lt; b &amp; c on Fast CPU</title>"));
  const auto values = [&](const std::string& pattern) {
    std::vector<double> found;
    const std::regex name(pattern);
    for (std::sregex_iterator at(svg.begin(), svg.end(), name), end; at != end; ++at)
      found.push_back(std::stod((*at)[1]));
    return found;
  };
  for (const double x : values(R"rx( (?:x|x1|x2)="([^"]*)")rx")) EXPECT_TRUE(x >= 0 && x <= 960) << x;
  for (const double y : values(R"rx( (?:y|y1|y2)="([^"]*)")rx")) EXPECT_TRUE(y >= 0 && y <= 400) << y;
  // The bars of training: one thread, two, the GPU.
  const std::vector<double> heights = values(R"rx(<rect x=[^>]*height="([^"]*)")rx");
  ASSERT_EQ(heights.size(), 6u + 2) << "and two squares in the legend";
  EXPECT_NEAR(heights[1] / heights[0], 1.6, 0.01);
  EXPECT_NEAR(heights[2] / heights[0], 32, 0.05);
  for (const char* label :
       {">32x</text>", ">1.60x</text>", ">1.25x</text>", ">batch 64</text>", ">GPU</text>"})
    EXPECT_THAT(svg, HasSubstr(label));
}

}  // namespace
}  // namespace lockstep
