#include "launch/measure/energy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

class PackageEnergyTest : public testing::Test {
 protected:
  /// What Linux shows of one zone, in microjoules.
  void show(const std::string& zone, const std::string& name, int64_t energy) const {
    fs::create_directories(folder_ / zone);
    std::ofstream(folder_ / zone + "/name") << name << "\n";
    std::ofstream(folder_ / zone + "/max_energy_range_uj") << 1000000 << "\n";
    std::ofstream(folder_ / zone + "/energy_uj") << energy << "\n";
  }

  const TemporaryFolder folder_;
};

TEST_F(PackageEnergyTest, AddsThePackagesAndNothingElse) {
  show("intel-rapl:0", "package-0", 100);
  show("intel-rapl:1", "package-1", 200);
  show("intel-rapl:2", "psys", 300);
  show("intel-rapl:0:0", "core", 400);
  show("intel-rapl-mmio:0", "package-0", 500);
  PackageEnergy energy(folder_.path());
  EXPECT_EQ(energy.reason(), "");
  show("intel-rapl:0", "package-0", 400100);
  show("intel-rapl:1", "package-1", 100200);
  show("intel-rapl:2", "psys", 900000);
  show("intel-rapl:0:0", "core", 900000);
  show("intel-rapl-mmio:0", "package-0", 900000);
  EXPECT_DOUBLE_EQ(energy.take().value(), 0.5);
  EXPECT_DOUBLE_EQ(energy.take().value(), 0) << "since the previous call";
}

TEST_F(PackageEnergyTest, FollowsACounterThatWrapsAround) {
  show("intel-rapl:0", "package-0", 900000);
  PackageEnergy energy(folder_.path());
  show("intel-rapl:0", "package-0", 150000);
  EXPECT_DOUBLE_EQ(energy.take().value(), 0.25);
  show("intel-rapl:0", "package-0", 160000);
  EXPECT_DOUBLE_EQ(energy.take().value(), 0.01);
}

TEST_F(PackageEnergyTest, SaysWhyThereIsNone) {
  PackageEnergy none(folder_.path());
  EXPECT_EQ(none.reason(), folder_.path() + " has no intel-rapl:N of a CPU package");
  EXPECT_EQ(none.take(), std::nullopt);
  EXPECT_EQ(PackageEnergy(folder_ / "missing").reason(),
            folder_.path() + "/missing has no intel-rapl:N of a CPU package");

  show("intel-rapl:0", "package-0", 1);
  PackageEnergy energy(folder_.path());
  fs::remove(folder_ / "intel-rapl:0/energy_uj");
  EXPECT_EQ(energy.take(), std::nullopt);
  EXPECT_EQ(energy.reason(), folder_.path() + "/intel-rapl:0/energy_uj: No such file or directory");
}

TEST(EnergyMeter, KnowsOfNoGpuWhereNoneComputes) {
  EnergyMeter meter("");
  meter.start();
  meter.lap();
  EXPECT_EQ(meter.energy().gpu, std::nullopt);
  EXPECT_EQ(meter.gpu_reason(), "");
  EXPECT_EQ(meter.energy().cpu.has_value(), meter.cpu_reason().empty());
}

}  // namespace
}  // namespace lockstep
