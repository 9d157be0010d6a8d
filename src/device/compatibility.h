#pragma once

#include <string>
#include <vector>

#include "src/device/devices.h"

namespace lockstep {

/// Why a driver cannot run a program built with this CUDA toolkit, and the remedy; "" if it can. Versions as
/// CUDA encodes them (13020 is 13.2); driver_version is the newest CUDA that the driver supports. Within one
/// major version an older driver runs a newer toolkit's programs (CUDA Compatibility, "Minor Version
/// Compatibility").
std::string driver_obstacle(int driver_version, int runtime_version);

/// Whether a build for these architectures, in CMake's notation ("80-real,90", where 90 is code for 9.0 and
/// PTX, 90-virtual only PTX), has code for a GPU of this compute capability.
bool has_code_for(const std::string& architectures, int major, int minor);

/// The problems, fixable by a user, that keep this machine from training on GPUs: one sentence each, with its
/// remedy. Unless `gpu_required`, having no GPU at all is not a problem.
std::vector<std::string> gpu_problems(const DeviceReport& report, bool gpu_required);

/// "9.19.0" of 91900 and "13.1.0" of 130100: major times 10,000 plus minor times 100 plus patch, as cuDNN 9,
/// cuBLAS and NCCL number themselves.
std::string dotted_version(int64_t version);

}  // namespace lockstep
