// Steps that replay a graph, beside the same steps whose kernels are launched one by one. Whatever a
// graph keeps of the step it was captured in, such as a place or a number of tokens, would show as
// other bits in a later one.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/group/device_group.h"

// It is included behind the headers of kernels, because it replaces the CHECK of base/check.h.
#include "kernels/cuda/gpu_decoder.h"

#if defined(AUTOGLM_SIMT_EMULATOR)
#include "simt/emulated_gpu.h"
#endif

namespace autoglm {
namespace {

constexpr int64_t kBlockSize = 4;
constexpr int32_t kVocabSize = 67;

struct Loading {
  Dtype activation_dtype = Dtype::kFloat32;
  bool enforce_eager = false;
  int num_ranks = 1;
  bool on_one_gpu = true;  // so that a machine with one runs groups too
  DeviceOpener open_device = cuda::OpenCuda;
};

std::unique_ptr<Decoder> Load(const Loading& loading) {
  DecoderConfig shape;
  shape.model_type = "glm4";
  shape.hidden_size = 32;
  // Sums over ranks take the emulator long.
  shape.num_layers = loading.num_ranks == 1 ? 2 : 1;
  shape.num_heads = 4;
  shape.num_kv_heads = 2;
  shape.head_dim = 16;
  shape.num_rope_pairs = 4;
  shape.intermediate_size = 48;
  shape.vocab_size = kVocabSize;
  shape.max_position_embeddings = 1024;
  DecoderOptions options;
  options.random = shape;
  options.devices.clear();
  for (int rank = 0; rank < loading.num_ranks; ++rank) {
    DeviceId& gpu = options.devices.emplace_back();
    gpu.kind = DeviceKind::kCuda;
    gpu.ordinal = loading.on_one_gpu ? 0 : rank;
  }
  options.activation_dtype = loading.activation_dtype;
  options.block_size = kBlockSize;
  options.kv_cache_bytes = 1 << 20;
  options.max_num_batched_tokens = 8;
  options.enforce_eager = loading.enforce_eager;
  Result<std::unique_ptr<Decoder>> decoder = Decoder::Load(options, loading.open_device);
  REQUIRE_MESSAGE(decoder.ok(), decoder.status().message());
  return std::move(decoder.value());
}

// Some sequences, each in blocks of its own, far from each other.
class Sequences {
 public:
  explicit Sequences(int32_t count) : lengths_(static_cast<size_t>(count)) {}

  // Plans the next `count` tokens of each of these sequences, in block tables of so many columns.
  StepPlan Next(const std::vector<int32_t>& which, int32_t count, int64_t width) {
    StepPlan plan;
    plan.max_blocks_per_sequence = width;
    plan.query_starts = {0};
    std::vector<int32_t> positions;
    for (const int32_t sequence : which) {
      int32_t& length = lengths_[static_cast<size_t>(sequence)];
      for (int32_t i = 0; i < count; ++i, ++length) {
        plan.token_ids.push_back((sequence * 29 + length * 13) % kVocabSize);
        positions.push_back(length);
        const int64_t block = BlockOf(sequence, length / kBlockSize);
        plan.slots.push_back(static_cast<int32_t>(block * kBlockSize + length % kBlockSize));
      }
      plan.query_starts.push_back(static_cast<int32_t>(plan.num_tokens()));
      plan.output_tokens.push_back(static_cast<int32_t>(plan.num_tokens()) - 1);
      SampleParams& params = plan.outputs.emplace_back().sample.emplace();
      params.temperature = 1.0f;
      params.vocab_limit = kVocabSize;
      params.seed = static_cast<uint64_t>(sequence);
      params.position = static_cast<uint32_t>(length);
      plan.context_lens.push_back(length);
      const int64_t used = (length + kBlockSize - 1) / kBlockSize;
      for (int64_t i = 0; i < width; ++i) {
        plan.block_tables.push_back(i < used ? BlockOf(sequence, i) : -1);
      }
    }
    for (int axis = 0; axis < 3; ++axis) {
      plan.positions.insert(plan.positions.end(), positions.begin(), positions.end());
    }
    for (int64_t i = 0; i < plan.num_tokens(); ++i) {
      plan.pooled_rows.push_back({.first_token = i, .num_rows = 1, .sum = {}});
    }
    return plan;
  }

 private:
  static int32_t BlockOf(int32_t sequence, int64_t index) {
    return static_cast<int32_t>(sequence + 11 * (5 - index));
  }

  std::vector<int32_t> lengths_;
};

// Runs a plan and returns the last hidden states of its tokens, then the tokens it chose.
std::vector<double> Run(Decoder& decoder, const StepPlan& plan) {
  StepResult result;
  const Status status = decoder.Execute(plan, result);
  REQUIRE_MESSAGE(status.ok(), status.message());
  std::vector<double> numbers;
  for (const std::vector<double>& sum : result.pooled_sums) {
    numbers.insert(numbers.end(), sum.begin(), sum.end());
  }
  for (const ChosenToken& output : result.outputs) {
    REQUIRE(output.status.ok());
    numbers.push_back(output.token_id);
  }
  return numbers;
}

struct Step {
  std::vector<int32_t> sequences;
  int32_t num_tokens;  // of each
  int64_t width;       // of block tables
};

// Sequences join and leave, so that buckets are captured with some of them and replayed with others.
std::vector<StepPlan> PlanSteps() {
  const std::vector<Step> steps = {
      {{0, 1, 2}, 2, 1}, {{3, 4}, 4, 1},
      {{0}, 1, 2},       {{1}, 1, 2},        {{0}, 1, 3},       {{4}, 1, 100},       {{2}, 1, 70},
      {{0, 1, 2}, 1, 3}, {{2, 1, 0}, 1, 3},  {{4, 3, 2}, 1, 4}, {{1, 0, 4, 2}, 1, 4},
      {{3, 0}, 2, 5},    {{3, 1, 4}, 1, 64}, {{3}, 1, 4},       {{0, 1, 2, 3, 4}, 1, 100}};
  Sequences sequences(5);
  std::vector<StepPlan> plans;
  for (const Step& step : steps) {
    plans.push_back(sequences.Next(step.sequences, step.num_tokens, step.width));
  }
  return plans;
}

// The graphs of this process so far: captured, and replayed.
std::vector<uint64_t> NumGraphs() {
#if defined(AUTOGLM_SIMT_EMULATOR)
  return {simt::NumCaptures(), simt::NumReplays()};
#else
  return {};
#endif
}

TEST_CASE("A step that replays a graph has the bits of one whose kernels are launched one by one") {
  struct Case {
    Dtype dtype;
    int num_ranks;
  };
  for (const Case& one :
       {Case{Dtype::kFloat32, 1}, Case{Dtype::kBfloat16, 1}, Case{Dtype::kBfloat16, 2}}) {
    CAPTURE(DtypeName(one.dtype));
    CAPTURE(one.num_ranks);
    Loading loading = {.activation_dtype = one.dtype, .num_ranks = one.num_ranks};
    const std::unique_ptr<Decoder> with_graphs = Load(loading);
    loading.enforce_eager = true;
    const std::unique_ptr<Decoder> eager = Load(loading);
    const std::vector<uint64_t> before = NumGraphs();
    size_t step = 0;
    for (const StepPlan& plan : PlanSteps()) {
      CAPTURE(step++);
      const std::vector<double> expected = Run(*eager, plan);
      CHECK(Run(*with_graphs, plan) == expected);
    }
    // The emulator counts of each rank: graphs of one sequence, in narrow and in wide tables, and of
    // four.
    const std::vector<uint64_t> counts = NumGraphs();
    for (size_t i = 0; i < counts.size(); ++i) {
      CHECK_EQ(counts[i] - before[i], (i == 0 ? 3 : 8) * one.num_ranks);
    }
  }
}

#if defined(AUTOGLM_SIMT_EMULATOR)
simt::EmulatedMachine TwoGpus() {
  simt::EmulatedMachine machine = simt::Machine();
  machine.num_gpus = 2;
  return machine;
}

TEST_CASE("Nothing is captured where kernels are to be launched one by one, or where ranks meet in memory of the host") {
  simt::EmulatedMachine settings = TwoGpus();
  settings.has_peer_access = false;
  const simt::MachineSettings machine(settings);
  const std::vector<uint64_t> before = NumGraphs();
  const std::unique_ptr<Decoder> eager = Load({.enforce_eager = true});
  const std::unique_ptr<Decoder> group = Load({.num_ranks = 2, .on_one_gpu = false});

  Sequences of_eager(1);
  Sequences of_group(1);
  for (int i = 0; i < 3; ++i) {
    Run(*eager, of_eager.Next({0}, 1, 2));
    Run(*group, of_group.Next({0}, 1, 2));
  }

  CHECK(NumGraphs() == before);
}

TEST_CASE("If one rank has no memory for a graph, no rank replays one, and it is not asked for again") {
  simt::EmulatedMachine settings = TwoGpus();
  settings.gpu_without_graphs = 1;
  const simt::MachineSettings machine(settings);
  const std::unique_ptr<Decoder> eager =
      Load({.enforce_eager = true, .num_ranks = 2, .on_one_gpu = false});
  const std::unique_ptr<Decoder> group = Load({.num_ranks = 2, .on_one_gpu = false});
  const std::vector<uint64_t> before = NumGraphs();
  Sequences sequences(1);

  for (int i = 0; i < 4; ++i) {
    const StepPlan plan = sequences.Next({0}, 1, 3);
    CHECK(Run(*group, plan) == Run(*eager, plan));
  }

  const std::vector<uint64_t> counts = NumGraphs();
  CHECK_EQ(counts[0] - before[0], 1);  // of the rank that has memory
  CHECK_EQ(counts[1], before[1]);
}

// A second GPU on which one step fails, before its kernels are launched or when they should be.
enum class Failure { kNone, kBeforeReplay, kInsteadOfReplay };
std::atomic<Failure> failure = Failure::kNone;
Ops failing_ops;
const Ops* working_ops = nullptr;

void Fail(OpsContext& context) {
  failure = Failure::kNone;
  // The other rank waits by then.
  std::this_thread::sleep_for(std::chrono::milliseconds(3));
  context.group_rank->group->Break();
}

void CopyInOrFail(OpsContext& context, const CopyInOp& op) {
  if (failure == Failure::kBeforeReplay) Fail(context);
  working_ops->copy_in(context, op);
}

void ReplayOrFail(OpsContext& context, OpsGraph& graph) {
  if (failure == Failure::kInsteadOfReplay) return Fail(context);
  working_ops->replay(context, graph);
}

Result<Device> OpenFailing(const DeviceId& id) {
  Result<Device> device = cuda::OpenCuda(id);
  if (!device.ok() || id.ordinal != 1) return device;
  working_ops = device.value().ops;
  failing_ops = *working_ops;
  failing_ops.copy_in = CopyInOrFail;
  failing_ops.replay = ReplayOrFail;
  device.value().ops = &failing_ops;
  return device;
}

TEST_CASE("A rank that fails in a step of graphs fails it for all, and later steps are captured anew") {
  const simt::MachineSettings machine(TwoGpus());
  const std::unique_ptr<Decoder> eager =
      Load({.enforce_eager = true, .num_ranks = 2, .on_one_gpu = false});
  const std::unique_ptr<Decoder> group =
      Load({.num_ranks = 2, .on_one_gpu = false, .open_device = OpenFailing});
  Sequences sequences(1);
  const auto run_next = [&] {
    const StepPlan plan = sequences.Next({0}, 1, 3);
    CHECK(Run(*group, plan) == Run(*eager, plan));
  };
  for (const Failure one : {Failure::kBeforeReplay, Failure::kInsteadOfReplay}) {
    CAPTURE(one == Failure::kBeforeReplay);
    for (int i = 0; i < 2; ++i) run_next();
    const StepPlan plan = sequences.Next({0}, 1, 3);
    StepResult result;
    failure = one;

    const Status failed = group->Execute(plan, result);

    CHECK_EQ(failed.reason(), Reason::kEngineFailed);
    CHECK(failure == Failure::kNone);
    CHECK(Run(*group, plan) == Run(*eager, plan));
    const std::vector<uint64_t> before = NumGraphs();
    for (int i = 0; i < 2; ++i) run_next();
    const std::vector<uint64_t> counts = NumGraphs();
    CHECK_EQ(counts[0] - before[0], 2);
    CHECK_EQ(counts[1] - before[1], 4);
  }
}
#endif

}  // namespace
}  // namespace autoglm
