#pragma once

#include <vector>

#include "launch/config/option_table.h"

/// The keys of each section, in the order of config.toml. Those of a model are in model_keys.h.
namespace lockstep::options {

void add_run(std::vector<Option>& table);
void add_data(std::vector<Option>& table);
void add_model(std::vector<Option>& table);
void add_optimizer(std::vector<Option>& table);
void add_schedule(std::vector<Option>& table);
void add_train(std::vector<Option>& table);
void add_checkpoint(std::vector<Option>& table);
void add_comm(std::vector<Option>& table);

}  // namespace lockstep::options
