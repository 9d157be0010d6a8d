#pragma once

namespace lockstep {

class Command;
class Program;

/// Adds `lockstep model show`.
void add_model_show(Command model, Program& program);

}  // namespace lockstep
