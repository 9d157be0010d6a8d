#pragma once

#include <gtest/gtest.h>
#include <sched.h>

namespace lockstep {

/// Binds the calling thread to one core, as srun and mpirun do, until its end.
class CoreBinding {
 public:
  explicit CoreBinding(int core) {
    EXPECT_EQ(sched_getaffinity(0, sizeof before_, &before_), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    EXPECT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  }
  ~CoreBinding() { EXPECT_EQ(sched_setaffinity(0, sizeof before_, &before_), 0); }
  CoreBinding(const CoreBinding&) = delete;
  CoreBinding& operator=(const CoreBinding&) = delete;

 private:
  cpu_set_t before_{};
};

}  // namespace lockstep
