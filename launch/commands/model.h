#pragma once

namespace lockstep {

class Command;
class Program;

/// Adds `lockstep model show`.
void add_model_show(Command model, Program& program);

/// Adds `lockstep model export` and `lockstep model import`.
void add_model_export(Command model, Program& program);
void add_model_import(Command model, Program& program);

}  // namespace lockstep
