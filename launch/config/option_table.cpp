#include "launch/config/option_table.h"

#include "launch/config/options/sections.h"

namespace lockstep {

const std::vector<Option>& option_table() {
  static const std::vector<Option> table = [] {
    std::vector<Option> all;
    options::add_run(all);
    options::add_data(all);
    options::add_model(all);
    options::add_optimizer(all);
    options::add_schedule(all);
    options::add_train(all);
    options::add_checkpoint(all);
    options::add_comm(all);
    return all;
  }();
  return table;
}

}  // namespace lockstep
