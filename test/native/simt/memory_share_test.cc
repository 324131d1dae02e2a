// What decoders take of an emulated GPU's memory: a share at load, nothing in a step.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "model/decoder/step_plan.h"
#include "simt/emulated_gpu.h"

#include "kernels/cuda/cuda_context.h"

// It is included last, because it includes doctest, whose CHECK replaces the one of base/check.h.
#include "kernels/cuda/gpu_decoder.h"

namespace autoglm {
namespace {

constexpr uint64_t kGib = uint64_t{1} << 30;
constexpr uint64_t kMib = uint64_t{1} << 20;
// What the driver is thought to take, the scratch of attention, and what is left for graphs.
constexpr uint64_t kBesideModel =
    512 * kMib + cuda::kAttentionScratchBytes + StepGraphs::kMaxBytes;

// While it lives, GPUs have so much memory.
class MemoryOfGpus {
 public:
  explicit MemoryOfGpus(uint64_t bytes) : before_(Properties().memory_bytes) {
    Properties().memory_bytes = bytes;
  }
  ~MemoryOfGpus() { Properties().memory_bytes = before_; }

 private:
  static cuda::GpuProperties& Properties() { return simt::Machine().properties; }
  const uint64_t before_;
};

DecoderOptions OptionsWithShare(const KvCacheShare& share, size_t num_ranks) {
  DecoderOptions options = GpuDecoderOptions("glm4-tiny", Dtype::kFloat32, num_ranks);
  options.max_num_batched_tokens = 16;
  options.kv_cache_share = share;
  return options;
}

Result<std::unique_ptr<Decoder>> LoadWithShare(const KvCacheShare& share, size_t num_ranks = 1) {
  return Decoder::Load(OptionsWithShare(share, num_ranks), cuda::OpenCuda);
}

std::string RefusalOfShare(const KvCacheShare& share) {
  const Result<std::unique_ptr<Decoder>> refused = LoadWithShare(share);
  REQUIRE(!refused.ok());
  CHECK(refused.status().reason() == Reason::kOutOfMemory);
  return refused.status().message();
}

TEST_CASE("A KV cache takes what its share of a GPU leaves beside all else") {
  const MemoryOfGpus memory(kGib);

  const Result<std::unique_ptr<Decoder>> decoder = LoadWithShare({.of_memory = 0.875});

  REQUIRE_MESSAGE(decoder.ok(), decoder.status().message());
  const DecoderDescription& loaded = decoder.value()->description();
  const uint64_t most = 896 * kMib - kBesideModel - loaded.weight_bytes;
  CHECK_LE(loaded.kv_cache_bytes, most);
  // A chunk of weights, activations, the arrays of a step.
  CHECK_GT(loaded.kv_cache_bytes, most - 64 * kMib);
}

TEST_CASE("What the driver takes is what a process has beside what it has allocated") {
  CHECK_EQ(cuda::DriverBytes(kGib + 300 * kMib, kGib), 300 * kMib);
  CHECK_EQ(cuda::DriverBytes(std::nullopt, kGib), 512 * kMib);
  // Numbers of another process.
  CHECK_EQ(cuda::DriverBytes(kGib - 1, kGib), 512 * kMib);
  CHECK_EQ(cuda::DriverBytes(6 * kGib, kGib), 512 * kMib);
}

TEST_CASE("A KV cache takes no more than others have left of a GPU") {
  const MemoryOfGpus memory(kGib);
  Result<Device> other = cuda::OpenCuda(DeviceId());
  REQUIRE(other.ok());
  const Result<DeviceBuffer> taken =
      other.value().ops->allocate(*other.value().context, 512 * kMib);
  REQUIRE(taken.ok());

  const Result<std::unique_ptr<Decoder>> decoder = LoadWithShare({.of_memory = 0.9});

  REQUIRE_MESSAGE(decoder.ok(), decoder.status().message());
  CHECK_LT(decoder.value()->description().kv_cache_bytes, 256 * kMib - cuda::kAttentionScratchBytes);
}

TEST_CASE("A GPU without room for a KV cache is refused, with the numbers") {
  const MemoryOfGpus memory(kGib);

  const std::string weights = RefusalOfShare({.of_memory = 0.5});
  const std::string cache = RefusalOfShare({.of_memory = 0.75, .min_tokens = int64_t{1} << 30});

  CAPTURE(weights);
  CAPTURE(cache);
  CHECK_NE(weights.find("the model does not fit in memory: weights of "), std::string::npos);
  CHECK_NE(weights.find("of cuda:0 it may use 0.5 of 1.00 GiB, 0.50 GiB"), std::string::npos);
  CHECK_NE(cache.find("no room for a KV cache beside weights of "), std::string::npos);
  CHECK_NE(cache.find("one of 1073741824 tokens takes "), std::string::npos);
  CHECK_NE(cache.find("of cuda:0 it may use 0.75 of 1.00 GiB, 0.75 GiB"), std::string::npos);
}

TEST_CASE("Ranks of a group have as many blocks as the one with the fewest") {
  const MemoryOfGpus memory(2 * kGib);

  const Result<std::unique_ptr<Decoder>> decoder = LoadWithShare({.of_memory = 0.4}, 2);

  REQUIRE_MESSAGE(decoder.ok(), decoder.status().message());
  CHECK_GT(decoder.value()->description().num_blocks, 0);
}

// Plans a step of so many sequences of one token each, in a block table of `width` columns.
StepPlan PlanOfSequences(int64_t num_sequences, int64_t width) {
  constexpr int64_t kVocabSize = 1528;  // of glm4-tiny
  return LargestPlan({.num_tokens = num_sequences,
                      .num_outputs = num_sequences,
                      .num_positions = 1,
                      .longest = width * 16,
                      .block_size = 16,
                      .vocab_size = kVocabSize});
}

std::unique_ptr<Decoder> LoadForSteps(size_t num_ranks = 1, DeviceOpener opener = cuda::OpenCuda) {
  DecoderOptions options = GpuDecoderOptions("glm4-tiny", Dtype::kFloat32, num_ranks);
  options.max_num_batched_tokens = 12;
  Result<std::unique_ptr<Decoder>> decoder = Decoder::Load(options, opener);
  REQUIRE_MESSAGE(decoder.ok(), decoder.status().message());
  return std::move(decoder.value());
}

TEST_CASE("A KV cache has what graphs would take where there are none") {
  const MemoryOfGpus memory(kGib);
  DecoderOptions options = OptionsWithShare({.of_memory = 0.75}, 1);
  options.enforce_eager = true;

  const Result<std::unique_ptr<Decoder>> decoder = Decoder::Load(options, cuda::OpenCuda);

  REQUIRE_MESSAGE(decoder.ok(), decoder.status().message());
  const uint64_t with_graphs = 768 * kMib - kBesideModel;
  CHECK_GT(decoder.value()->description().kv_cache_bytes, with_graphs + 64 * kMib);
}

TEST_CASE("A step on a GPU allocates nothing") {
  const std::unique_ptr<Decoder> decoder = LoadForSteps();
  const uint64_t before = simt::NumAllocations();

  for (const int64_t num_sequences : {1, 3, 12, 1, 3, 1, 3}) {
    StepResult result;
    const Status status = decoder->Execute(PlanOfSequences(num_sequences, 4), result);
    REQUIRE_MESSAGE(status.ok(), status.message());
    for (const ChosenToken& output : result.outputs) CHECK(output.status.ok());
  }

  CHECK_EQ(simt::NumAllocations(), before);
}

// Executes a step that fails between two others, while `Failure` exists; returns the refusal.
template <typename Failure>
Status FailBetween(Decoder& decoder) {
  StepResult expected;
  REQUIRE(decoder.Execute(PlanOfSequences(2, 1), expected).ok());
  // Wider block tables than any step has that was foreseen.
  const StepPlan larger = PlanOfSequences(12, 4'000);
  StepResult result;
  const auto refuse = [&] {
    const Failure failure;
    return decoder.Execute(larger, result);
  };
  const Status refused = refuse();
  const Status served = decoder.Execute(PlanOfSequences(2, 1), result);

  REQUIRE_MESSAGE(served.ok(), served.message());
  for (size_t i = 0; i < result.outputs.size(); ++i) {
    CHECK_EQ(result.outputs[i].token_id, expected.outputs[i].token_id);
  }
  return refused;
}

struct NothingLeft {
  const MemoryOfGpus memory{0};
};

TEST_CASE("A step for which a GPU has no memory fails alone") {
  for (const size_t num_ranks : {1, 2}) {
    const std::unique_ptr<Decoder> decoder = LoadForSteps(num_ranks);

    const Status refused = FailBetween<NothingLeft>(*decoder);

    CHECK(refused.reason() == Reason::kOutOfMemory);
    CHECK_NE(refused.message().find("cuda:0 is out of memory: "), std::string::npos);
  }
}

// While it lives, rank 1 of a group gets no memory.
class NothingForRankOne {
 public:
  NothingForRankOne() { is_alive = true; }
  ~NothingForRankOne() { is_alive = false; }

  static Result<Device> OpenDevice(const DeviceId& id) {
    Result<Device> device = cuda::OpenCuda(id);
    if (!device.ok()) return device;
    static const Ops ops = [&] {
      Ops changed = *device.value().ops;
      changed.allocate = Allocate;
      return changed;
    }();
    device.value().ops = &ops;
    return device;
  }

 private:
  static Result<DeviceBuffer> Allocate(OpsContext& context, size_t bytes) {
    const GroupRank* const place = context.group_rank;
    if (is_alive && place != nullptr && place->rank == 1) return OutOfMemory("nothing for rank 1");
    return cuda::Allocate(context, bytes);
  }

  static inline std::atomic<bool> is_alive = false;
};

TEST_CASE("A rank that fails in a step frees the GPUs that wait for it") {
  const std::unique_ptr<Decoder> decoder = LoadForSteps(2, NothingForRankOne::OpenDevice);

  const Status refused = FailBetween<NothingForRankOne>(*decoder);

  CHECK_EQ(refused.message(), "rank 1 of 2, cuda:0: nothing for rank 1");
}

}  // namespace
}  // namespace autoglm
