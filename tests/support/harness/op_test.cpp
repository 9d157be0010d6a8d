// Everything that is checked of every operation. The cases are in tests/ops, each beside its operation.
#include "tests/support/backend.h"
#include "tests/support/harness/op_check.h"

namespace lockstep::test {
namespace {

class Operation : public testing::TestWithParam<std::tuple<Backend, std::string>> {
 protected:
  void SetUp() override { use_backend(std::get<Backend>(GetParam()), exec); }
  static Op op() { return op_named(std::get<std::string>(GetParam())); }
  Exec exec;
};

TEST_P(Operation, ComputesItsDefinitionAndItsDerivatives) { check_oracle(exec, op()); }
TEST_P(Operation, DoesSoInTwoBytes) { check_precisions(exec, op()); }
TEST_P(Operation, LeavesPaddingOut) { check_padding(exec, op()); }
TEST_P(Operation, MayOverwriteOrLeaveOutWhatItSays) { check_aliases(exec, op()); }
TEST_P(Operation, GivesTheSameBitsEveryTime) { check_repeats(exec, op()); }
TEST_P(Operation, RefusesOtherShapes) { check_shapes(exec, op()); }

INSTANTIATE_TEST_SUITE_P(Backends, Operation,
                         testing::Combine(testing::Values(Backend::cpu, Backend::cuda),
                                          testing::ValuesIn(op_names())),
                         [](const auto& test) {
                           return to_string(std::get<Backend>(test.param)) + "_" +
                                  std::get<std::string>(test.param);
                         });

class OperationThreads : public testing::TestWithParam<std::string> {};

TEST_P(OperationThreads, DoNotChangeItsBits) { check_threads(op_named(GetParam())); }

INSTANTIATE_TEST_SUITE_P(Ops, OperationThreads, testing::ValuesIn(op_names()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace lockstep::test
