// Steps that replay a graph, beside the same steps whose kernels are launched one by one. Whatever a
// graph keeps of the step it was captured in, such as a place or a number of tokens, would show as
// other bits in a later one.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/gpu_decoder.h"

#if defined(AUTOGLM_SIMT_EMULATOR)
#include "simt/emulated_gpu.h"
#endif

namespace autoglm {
namespace {

constexpr int64_t kBlockSize = 4;
constexpr int32_t kVocabSize = 67;

std::unique_ptr<Decoder> Load(Dtype activation_dtype, bool enforce_eager) {
  DecoderConfig shape;
  shape.model_type = "glm4";
  shape.hidden_size = 32;
  shape.num_layers = 2;
  shape.num_heads = 4;
  shape.num_kv_heads = 2;
  shape.head_dim = 16;
  shape.num_rope_pairs = 4;
  shape.intermediate_size = 48;
  shape.vocab_size = kVocabSize;
  shape.max_position_embeddings = 1024;
  DecoderOptions options;
  options.random = shape;
  DeviceId gpu;
  gpu.kind = DeviceKind::kCuda;
  options.devices = {gpu};
  options.activation_dtype = activation_dtype;
  options.block_size = kBlockSize;
  options.kv_cache_bytes = 1 << 20;
  options.max_num_batched_tokens = 8;
  options.enforce_eager = enforce_eager;
  Result<std::unique_ptr<Decoder>> decoder = Decoder::Load(options, cuda::OpenCuda);
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

// Runs a plan and returns the last hidden states of its tokens.
std::vector<double> Run(Decoder& decoder, const StepPlan& plan) {
  StepResult result;
  const Status status = decoder.Execute(plan, result);
  REQUIRE_MESSAGE(status.ok(), status.message());
  std::vector<double> numbers;
  for (const std::vector<double>& sum : result.pooled_sums) {
    numbers.insert(numbers.end(), sum.begin(), sum.end());
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
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16}) {
    CAPTURE(DtypeName(dtype));
    const std::unique_ptr<Decoder> eager = Load(dtype, true);
    const std::unique_ptr<Decoder> with_graphs = Load(dtype, false);
    const std::vector<uint64_t> before = NumGraphs();
    size_t step = 0;
    for (const StepPlan& plan : PlanSteps()) {
      CAPTURE(step++);
      const std::vector<double> expected = Run(*eager, plan);
      CHECK(Run(*with_graphs, plan) == expected);
    }
    // The emulator counts: graphs of one sequence, in narrow and in wide tables, and of four.
    const std::vector<uint64_t> counts = NumGraphs();
    for (size_t i = 0; i < counts.size(); ++i) {
      CHECK_EQ(counts[i] - before[i], i == 0 ? 3 : 8);
    }
  }
}

#if defined(AUTOGLM_SIMT_EMULATOR)
TEST_CASE("Nothing is captured where kernels are to be launched one by one, or devices are a group") {
  const std::vector<uint64_t> before = NumGraphs();
  const std::unique_ptr<Decoder> eager = Load(Dtype::kFloat32, true);
  DecoderOptions of_two = GpuDecoderOptions("glm4-tiny", Dtype::kFloat32, 2);
  of_two.block_size = kBlockSize;
  of_two.max_num_batched_tokens = 4;
  const Result<std::unique_ptr<Decoder>> group = Decoder::Load(of_two, cuda::OpenCuda);
  REQUIRE_MESSAGE(group.ok(), group.status().message());

  Sequences of_eager(1);
  Sequences of_group(1);
  for (int i = 0; i < 3; ++i) {
    Run(*eager, of_eager.Next({0}, 1, 2));
    Run(*group.value(), of_group.Next({0}, 1, 2));
  }

  CHECK(NumGraphs() == before);
}
#endif

}  // namespace
}  // namespace autoglm
