#include "src/core/cores.h"

#include <sched.h>

#include <memory>
#include <new>

#include "src/core/error.h"

namespace lockstep {

std::vector<int> usable_cores() {
  // Fails if the kernel supports more cores than fit into the set.
  for (int room = 1024; room <= 1 << 20; room *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(room),
                                                               [](cpu_set_t* given) { CPU_FREE(given); });
    const size_t bytes = CPU_ALLOC_SIZE(room);
    if (!set) throw std::bad_alloc();
    CPU_ZERO_S(bytes, set.get());
    if (sched_getaffinity(0, bytes, set.get()) != 0) continue;
    std::vector<int> cores;
    for (int core = 0; core < room; ++core)
      if (CPU_ISSET_S(core, bytes, set.get())) cores.push_back(core);
    return cores;
  }
  fail(ExitCode::bug, "the system does not say on which cores this process may run");
}

}  // namespace lockstep
