#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>
#include <span>
#include <type_traits>
#include <vector>

#include "src/core/error.h"
#include "src/core/rng.h"
#include "src/device/buffer.h"
#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// For the messages of failed tests.
inline void PrintTo(Backend backend, std::ostream* out) { *out << to_string(backend); }

namespace test {

/// Sets the Exec of a backend, for CUDA on this GPU; skips the running test by name where there are fewer
/// GPUs than this many. For SetUp(); a process uses one GPU.
void use_backend(Backend backend, Exec& exec, int gpu = 0, int gpus = 1);

/// A test that runs once for each backend, and skips by name where there is no GPU.
class BackendTest : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override { use_backend(GetParam(), exec_); }
  Exec exec() const { return exec_; }

 private:
  Exec exec_;
};

#define INSTANTIATE_FOR_BACKENDS(Suite)                                                            \
  INSTANTIATE_TEST_SUITE_P(Backends, Suite,                                                        \
                           ::testing::Values(::lockstep::Backend::cpu, ::lockstep::Backend::cuda), \
                           [](const auto& backend) { return ::lockstep::to_string(backend.param); })

/// Copies values into the backend's memory, and waits.
template <typename T>
void to_backend(Exec exec, std::span<T> destination, const std::vector<T>& values) {
  INVARIANT(values.size() == destination.size(), "{} values for {}", values.size(), destination.size());
  copy(exec, destination.data(), values.data(), destination.size_bytes());
  synchronize(exec);
}
/// The same for a tensor of any real type.
void to_backend(Exec exec, const Tensor& destination, const std::vector<float>& values);

/// Copies values from the backend's memory, once what is enqueued is done.
template <typename T>
std::vector<std::remove_const_t<T>> from_backend(Exec exec, std::span<T> source) {
  std::vector<std::remove_const_t<T>> values(source.size());
  copy(exec, values.data(), source.data(), source.size_bytes());
  synchronize(exec);
  return values;
}
/// The same from a tensor of any real type.
std::vector<float> from_backend(Exec exec, const ConstTensor& source);

/// A tensor in the backend's memory between two runs of guard bytes, so that an operation which writes past
/// either end is found out. Without values it starts as garbage: NaN for floats, so that an element nobody
/// wrote is seen too.
template <typename T>
class Guarded {
 public:
  Guarded(Exec exec, const Shape& shape, const std::vector<T>& values)
      : exec_(exec), shape_(shape), buffer_(exec, Memory::device, 2 * kGuard + bytes()) {
    INVARIANT(static_cast<int64_t>(values.size()) == shape.elements(), "{} values for {}", values.size(),
              to_string(shape));
    const std::vector<std::byte> guard(kGuard, kPattern);
    copy(exec, buffer_.data(), guard.data(), kGuard);
    copy(exec, buffer_.data() + kGuard + bytes(), guard.data(), kGuard);
    set(values);
  }
  Guarded(Exec exec, const Shape& shape)
      : Guarded(exec, shape, std::vector<T>(static_cast<size_t>(shape.elements()), garbage())) {}

  /// The values now; fails the test when a guard byte has changed.
  std::vector<T> values() const {
    const auto is_intact = [this](const std::byte* guard) {
      std::vector<std::byte> found(kGuard);
      copy(exec_, found.data(), guard, kGuard);
      synchronize(exec_);
      return std::ranges::count(found, kPattern) == static_cast<std::ptrdiff_t>(kGuard);
    };
    EXPECT_TRUE(is_intact(buffer_.data())) << "written before the start of a tensor " << to_string(shape_);
    EXPECT_TRUE(is_intact(buffer_.data() + kGuard + bytes()))
        << "written past the end of a tensor " << to_string(shape_);
    return from_backend(exec_, span());
  }

  /// Overwrites the values.
  void set(const std::vector<T>& values) { to_backend(exec_, span(), values); }

  std::span<T> span() const {
    return {reinterpret_cast<T*>(buffer_.data() + kGuard), static_cast<size_t>(shape_.elements())};
  }
  Tensor tensor() const { return {buffer_.data() + kGuard, dtype_of<T>(), shape_}; }
  operator Tensor() const { return tensor(); }
  operator ConstTensor() const { return tensor(); }

 private:
  static constexpr size_t kGuard = 256;       // a multiple of the alignment that Buffer gives
  static constexpr std::byte kPattern{0xFE};  // a float near -1.7e38: who reads it by mistake, shows it
  static T garbage() {
    if constexpr (std::is_floating_point_v<T>)
      return std::numeric_limits<T>::quiet_NaN();
    else
      return T{77};
  }
  size_t bytes() const { return static_cast<size_t>(shape_.elements()) * sizeof(T); }

  Exec exec_;
  Shape shape_;
  Buffer buffer_;
};

/// A small value, such as a MicroBatchInfo, in the backend's memory.
template <typename T>
class OnBackend {
 public:
  OnBackend(Exec exec, const T& value) : buffer_(exec, Memory::device, sizeof(T)) {
    copy(exec, buffer_.data(), &value, sizeof(T));
    synchronize(exec);
  }
  const T* get() const { return reinterpret_cast<const T*>(buffer_.data()); }

 private:
  Buffer buffer_;
};

/// Scratch memory for an operation, with guards as well.
inline Guarded<uint8_t> workspace(Exec exec, size_t bytes) { return {exec, {static_cast<int64_t>(bytes)}}; }

/// Uniform numbers in [low, high), the same for the same seed.
std::vector<float> random_values(int64_t count, uint64_t seed, float low = -1, float high = 1);

}  // namespace test
}  // namespace lockstep
