#include "io/probe.h"

int main(int argc, char** argv) {
  if (const auto code = lockstep::run_probe(argc, argv)) return *code;
  return 0;
}
