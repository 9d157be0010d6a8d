// Two GPUs: "0000:0A:00.0" has used 1.5 J when it is first asked, and 0.5 J more each time; "0000:0B:00.0"
// has no counter.
#include <cstring>

namespace {

constexpr int kNotSupported = 3, kNotFound = 6;
int gpus[2];
int initialized = 0;
unsigned long long millijoules = 1000;

}  // namespace

extern "C" {

int nvmlInit_v2() { return ++initialized, 0; }
int nvmlShutdown() { return --initialized, 0; }
const char* nvmlErrorString(int status) {
  return status == kNotSupported ? "Not Supported" : status == kNotFound ? "Not Found" : "Uninitialized";
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, void** device) {
  if (initialized < 1) return 1;
  if (std::strncmp(bus_id, "0000:0", 6) != 0) return kNotFound;
  *device = &gpus[bus_id[6] == 'A' ? 0 : 1];
  return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* energy) {
  if (initialized < 1) return 1;
  if (device != &gpus[0]) return kNotSupported;
  *energy = millijoules += 500;
  return 0;
}
}
