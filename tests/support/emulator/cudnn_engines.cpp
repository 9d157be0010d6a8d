// The engines of the emulated cuDNN, and how their plans run. For convolutions, those that are offered first
// must not be chosen, and compute another value, if they run at all. The last may be chosen, but fails when
// it runs.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>

#include "tests/support/emulator/cudnn_backend.h"
#include "tests/support/emulator/stream.h"

namespace emulator::cudnn {

namespace {

std::atomic<bool> engines_offered = true;

constexpr size_t kTooMuch = size_t{1} << 40;

using Notes = std::vector<cudnnBackendNumericalNote_t>;
const Notes kPlain = {}, kTensorCore = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE};
constexpr cudnnBackendHeurMode_t kFirst = CUDNN_HEUR_MODE_A, kFallback = CUDNN_HEUR_MODE_FALLBACK;

Engine engines[] = {
    {.notes = {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, .mode = kFirst},
    {.notes = kPlain, .mode = kFirst, .workspace_bytes = kTooMuch},
    {.notes = {CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION}, .mode = kFirst},
    {.notes = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS}, .mode = kFirst},
    {.notes = kPlain, .behavior = {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION}, .mode = kFirst},
    {.notes = kPlain, .mode = kFirst, .builds = false},
    {.notes = kTensorCore, .mode = kFirst, .workspace_bytes = 4096, .milliseconds = 20},
    {.notes = kPlain, .mode = kFallback, .milliseconds = 30},
    {.notes = kPlain, .mode = kFallback, .workspace_bytes = 8192, .milliseconds = 10},
    {.notes = kPlain, .mode = kFallback, .runs = false},
};

/// Of programs. All are compiled at run time, as the real ones for attention are; the third and the fourth
/// may be chosen.
Engine program_engines[] = {
    {.notes = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC},
     .behavior = {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION},
     .mode = kFirst},
    {.notes = kTensorCore,
     .behavior = {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION},
     .mode = kFirst,
     .workspace_bytes = kTooMuch},
    {.notes = kTensorCore,
     .behavior = {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION},
     .mode = kFirst,
     .milliseconds = 30},
    {.notes = kTensorCore,
     .behavior = {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION},
     .mode = kFallback,
     .workspace_bytes = 8192,
     .milliseconds = 20},
    {.notes = kTensorCore,
     .behavior = {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION},
     .mode = kFirst,
     .compiles = false},
};

/// Of convolutions with a program, in place of reading the result again. The last two may be chosen, and are
/// faster than a convolution alone.
Engine epilogue_engines[] = {
    {.notes = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, .mode = kFirst},
    {.notes = kTensorCore,
     .behavior = {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION},
     .mode = kFirst,
     .workspace_bytes = kTooMuch},
    {.notes = kTensorCore,
     .behavior = {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION},
     .mode = kFirst,
     .milliseconds = 8},
    {.notes = kTensorCore,
     .behavior = {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION},
     .mode = kFallback,
     .workspace_bytes = 16384,
     .milliseconds = 4},
};

bool is_epilogue_engine(const Engine& engine) {
  return std::any_of(std::begin(epilogue_engines), std::end(epilogue_engines),
                     [&](const Engine& other) { return &other == &engine; });
}

/// Whether the emulated engine computes what it should.
bool is_sound(const Engine& engine) {
  return (engine.behavior.empty() || is_epilogue_engine(engine)) && engine.workspace_bytes < kTooMuch &&
         std::all_of(engine.notes.begin(), engine.notes.end(), [](cudnnBackendNumericalNote_t note) {
           return note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE || note == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
         });
}

/// Engines here are for what the legacy convolutions are for too, along one axis as well, but without
/// dilation, so that something is left to the legacy ones. (The real engines dilate.)
bool is_computable(const Task& task) {
  if (task.program && !task.convolves_first) return true;
  const Problem& p = task.problem;
  const Numbers& dilation = p.convolution.dilation;
  return task.is_dense && !p.is_left_open() && p.convolution.mode == CUDNN_CROSS_CORRELATION &&
         p.convolution.compute == CUDNN_DATA_FLOAT && p.x.type != CUDNN_DATA_DOUBLE && p.w.type == p.x.type &&
         p.y.type == p.x.type &&
         std::all_of(dilation.begin(), dilation.end(), [](int64_t step) { return step == 1; });
}

struct Run {
  cudnnHandle_t handle;
  const Descriptor& plan;
  const Descriptor& pack;
};

/// The pointer under an id; null if there is none.
void* pointer_to(const Descriptor& pack, int64_t id) {
  const auto& ids = pack[CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS].all<int64_t>();
  const auto found = std::find(ids.begin(), ids.end(), id);
  if (found == ids.end()) return nullptr;
  return pack[CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS].as<void*>(static_cast<size_t>(found - ids.begin()));
}

/// Makes the work on the GPU's clock longer.
void wait_for(cudaStream_t stream, int milliseconds) {
  if (milliseconds > 0)
    enqueue(stream, [=] { go_on_at(current_moment() + std::chrono::milliseconds(milliseconds)); });
}

cudnnStatus_t execute_program(const Run& run, void* workspace) {
  const std::shared_ptr<const Program> program = run.plan.task->program;
  const Engine& engine = *run.plan.engine;
  Pointers memory;
  for (const auto& [tensor, is_written] : program->in_memory()) {
    void* const pointer = memory[tensor.id] = pointer_to(run.pack, tensor.id);
    if (pointer == nullptr) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    if (reinterpret_cast<intptr_t>(pointer) % tensor.alignment != 0)
      return CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
  }
  HostNumbers numbers;
  for (const GraphTensor& number : program->numbers()) {
    const void* const pointer = pointer_to(run.pack, number.id);
    if (pointer == nullptr) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    numbers[number.id] = *static_cast<const float*>(pointer);
  }
  const cudaStream_t stream = contexts.find(run.handle)->stream;
  if (stream == nullptr) return CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH;
  if (overlaps(*program, memory)) return CUDNN_STATUS_BAD_PARAM;
  const size_t scratch = engine.workspace_bytes;
  // Over the blocks of a convolution, the real engines add as they arrive unless told otherwise, and have no
  // note that says so.
  const bool any_order =
      run.plan.task->convolves_first &&
      std::any_of(program->operations.begin(), program->operations.end(),
                  [](const auto& o) { return o.kind == Operation::Kind::reduce && !o.in_fixed_order; });
  const bool is_steady = !engine.has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) && !any_order;
  if (!launch(stream, [=] {
        scribble(workspace, scratch);
        run_program(*program, memory, numbers, is_steady);
      }))
    return CUDNN_STATUS_EXECUTION_FAILED;
  wait_for(stream, engine.milliseconds);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t execute(const Run& run) {
  Task task = *run.plan.task;
  const Engine& engine = *run.plan.engine;
  const auto given = run.pack.attributes.find(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  void* const workspace = given == run.pack.attributes.end() ? nullptr : given->second.as<void*>();
  if (task.program && !task.convolves_first) {
    if (engine.workspace_bytes > 0 && workspace == nullptr) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    return execute_program(run, workspace);
  }
  const auto& ids = run.pack[CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS].all<int64_t>();
  void* memory[3];
  for (size_t i = 0; i < 3; ++i) {
    if (std::find(ids.begin(), ids.end(), task.ids[i]) == ids.end()) return CUDNN_STATUS_BAD_PARAM;
    memory[i] = pointer_to(run.pack, task.ids[i]);
    if (memory[i] == nullptr) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    if (reinterpret_cast<intptr_t>(memory[i]) % task.alignments[i] != 0)
      return CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
  }
  if (engine.workspace_bytes > 0 && workspace == nullptr) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (!engine.runs) return CUDNN_STATUS_EXECUTION_FAILED;
  task.problem.convolution.math =
      engine.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE) ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH;
  const Arguments arguments{memory[0],
                            memory[1],
                            memory[2],
                            task.direction == Direction::forward ? memory[2]
                            : task.direction == Direction::data  ? memory[0]
                                                                 : memory[1],
                            is_sound(engine) ? task.alpha : 1.5f * task.alpha,
                            task.beta,
                            workspace};
  const cudaStream_t stream = contexts.find(run.handle)->stream;
  const cudnnStatus_t status = start(stream, task.direction, task.problem, arguments, engine.workspace_bytes,
                                     !engine.has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC));
  if (status != CUDNN_STATUS_SUCCESS) return status;
  if (task.program) return execute_program(run, workspace);
  wait_for(stream, engine.milliseconds);
  return status;
}

}  // namespace

bool Engine::has(cudnnBackendNumericalNote_t note) const {
  return std::find(notes.begin(), notes.end(), note) != notes.end();
}

std::vector<const Engine*> engines_for(const Task& task, cudnnBackendHeurMode_t mode) {
  std::vector<const Engine*> offered;
  if (!engines_offered || !is_computable(task)) return offered;
  const auto offer = [&](const auto& table) {
    for (const Engine& engine : table)
      if (engine.mode == mode) offered.push_back(&engine);
  };
  if (task.convolves_first)
    offer(epilogue_engines);
  else if (task.program)
    offer(program_engines);
  else
    offer(engines);
  return offered;
}

void offer_engines(bool offered) { engines_offered = offered; }

void set_milliseconds(size_t engine, int milliseconds) { engines[engine].milliseconds = milliseconds; }

void set_milliseconds_of_programs(size_t engine, int milliseconds) {
  program_engines[engine].milliseconds = milliseconds;
}

void set_milliseconds_of_epilogues(size_t engine, int milliseconds) {
  epilogue_engines[engine].milliseconds = milliseconds;
}

}  // namespace emulator::cudnn

using namespace emulator::cudnn;

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan_handle,
                                  cudnnBackendDescriptor_t pack_handle) {
  const Descriptor *plan = descriptors.find(plan_handle), *pack = descriptors.find(pack_handle);
  if (contexts.find(handle) == nullptr || plan == nullptr || pack == nullptr ||
      plan->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR ||
      pack->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
    return CUDNN_STATUS_BAD_PARAM;
  if (!plan->is_finalized || !pack->is_finalized) return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
  if (handle != plan->task->handle) return CUDNN_STATUS_BAD_PARAM;
  return execute({handle, *plan, *pack});
}
