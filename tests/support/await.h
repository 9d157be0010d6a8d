#pragma once

#include <chrono>
#include <thread>

namespace lockstep {

/// Waits until `done()` holds. Gives up after two minutes, in which even a busy machine gets to it; returns
/// whether it held.
template <typename Done>
bool await(const Done& done) {
  const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (!done()) {
    if (std::chrono::steady_clock::now() > patience) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace lockstep
