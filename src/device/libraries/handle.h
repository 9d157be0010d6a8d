#pragma once

#include <utility>

namespace lockstep {

/// Owns a C handle; move-only; silent on destruction, because destructors do not throw.
template <typename T, auto Destroy>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T value) : value_(value) {}
  Handle(Handle&& other) noexcept : value_(std::exchange(other.value_, T{})) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      value_ = std::exchange(other.value_, T{});
    }
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { reset(); }

  T get() const { return value_; }
  /// For the output parameter of a C function: `CHECK(cudaStreamCreate(stream.out()))`.
  T* out() {
    reset();
    return &value_;
  }
  explicit operator bool() const { return value_ != T{}; }
  void reset() {
    if (value_ != T{}) static_cast<void>(Destroy(value_));
    value_ = T{};
  }

 private:
  T value_{};
};

}  // namespace lockstep
