#include "model/decoder/decoder.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "device/host_memory.h"
#include "doctest/doctest.h"
#include "golden.h"
#include "kernels/open_device.h"
#include "model/decoder/decoder_shard.h"
#include "model/decoder/decoder_steps.h"
#include "temporary_directory.h"

namespace autoglm {
namespace {

// Returns ranks of one thread each, which may share cores here.
std::vector<DeviceId> Ranks(size_t count) {
  DeviceId device;
  device.max_threads = 1;
  return std::vector<DeviceId>(count, device);
}

// Returns options of a small decoder that two and four ranks can share, with fewer KV heads than four.
DecoderOptions DividedOptions() {
  DecoderOptions options = SmallOptions();
  options.random->num_heads = 8;
  options.random->head_dim = 16;
  options.random->num_rope_pairs = 4;
  options.random->intermediate_size = 416;
  return options;
}

DecoderTrace TraceOn(DecoderOptions options, size_t num_ranks, const std::vector<int32_t>& tokens) {
  options.devices = Ranks(num_ranks);
  const std::unique_ptr<Decoder> decoder = LoadSmall(options);
  const int32_t length = static_cast<int32_t>(tokens.size());
  DecoderTrace trace;
  const Status status =
      decoder->Trace({tokens, PlanOf({{&tokens, 0, 0, length}}).positions, {}}, trace);
  REQUIRE_MESSAGE(status.ok(), status.message());
  return trace;
}

struct Numbers {
  Dtype activation;
  std::optional<WeightType> quantize;
  KvDtype cache;
  double tolerance;
};

TEST_CASE("A group computes what one device does, whatever the numbers are stored in") {
  const std::vector<int32_t> tokens = Prompt(41, 5);
  for (const Numbers& numbers :
       {Numbers{Dtype::kFloat32, std::nullopt, KvDtype::kFloat32, 1e-5},
        Numbers{Dtype::kBfloat16, std::nullopt, KvDtype::kBfloat16, 2e-2},
        Numbers{Dtype::kFloat32, WeightType::kInt8, KvDtype::kFloat32, 2e-2},
        Numbers{Dtype::kBfloat16, WeightType::kInt8, KvDtype::kBfloat16, 3e-2},
        Numbers{Dtype::kFloat32, WeightType::kInt4, KvDtype::kFloat32, 2e-1},
        Numbers{Dtype::kFloat32, std::nullopt, KvDtype::kInt8, 2e-2}}) {
    DecoderOptions options = DividedOptions();
    options.activation_dtype = numbers.activation;
    options.quantize.type = numbers.quantize;
    options.kv_dtype = numbers.cache;
    const DecoderTrace alone = TraceOn(options, 1, tokens);
    for (const size_t num_ranks : {size_t{2}, size_t{4}}) {
      CAPTURE(num_ranks);
      CAPTURE(DtypeName(numbers.activation));
      CAPTURE(numbers.tolerance);

      const DecoderTrace divided = TraceOn(options, num_ranks, tokens);

      // An embedding is on one rank; the others add zeros.
      CHECK_EQ(divided.hidden[0], alone.hidden[0]);
      CHECK_LT(RelativeError(divided.hidden.back(), alone.hidden.back()), numbers.tolerance);
      CHECK_LT(RelativeError(divided.logits, alone.logits), numbers.tolerance);
    }
  }
}

TEST_CASE("A group computes the fixtures of checkpoints, quantized ones and fused tensors among them") {
  struct Fixture {
    const char* name;
    Dtype activation;
    size_t most_ranks;
    double tolerance;
  };
  for (const Fixture& fixture : {Fixture{"glm4-tiny", Dtype::kFloat32, 4, 1e-5},
                                 Fixture{"glm4-tiny-bf16", Dtype::kBfloat16, 4, 2e-2},
                                 Fixture{"glm4-tiny-w4a16", Dtype::kFloat32, 4, 1e-5},
                                 Fixture{"glm4-tiny-w8a8", Dtype::kFloat32, 4, 1e-5},
                                 Fixture{"glm4-tiny-w8a8", Dtype::kBfloat16, 4, 5e-2},
                                 Fixture{"glm4v-tiny-sharded", Dtype::kFloat32, 2, 1e-5}}) {
    CAPTURE(std::string(fixture.name));
    DecoderOptions options = SmallOptions();
    options.random.reset();
    options.directory = FixturePath(fixture.name);
    options.activation_dtype = fixture.activation;
    const std::vector<int32_t> tokens = Prompt(30, 3);
    const DecoderTrace alone = TraceOn(options, 1, tokens);
    for (size_t num_ranks = 2; num_ranks <= fixture.most_ranks; num_ranks *= 2) {
      CAPTURE(num_ranks);
      const DecoderTrace divided = TraceOn(options, num_ranks, tokens);

      CHECK_LT(RelativeError(divided.logits, alone.logits), fixture.tolerance);
    }
  }
}

TEST_CASE("On a group a sequence gives the same bits alone, among others and in chunks") {
  for (const Dtype activation : {Dtype::kFloat32, Dtype::kBfloat16}) {
    DecoderOptions options = DividedOptions();
    options.devices = Ranks(2);
    options.activation_dtype = activation;
    const std::unique_ptr<Decoder> decoder = LoadSmall(options);
    const std::vector<int32_t> tokens = Prompt(23, 1);
    const std::vector<int32_t> others = Prompt(30, 2);
    const std::vector<TokenLogprob> alone = RunStep(*decoder, {{&tokens, 0, 0, 23}});

    const std::vector<TokenLogprob> batched =
        RunStep(*decoder, {{&others, 16, 0, 30}, {&others, 32, 0, 7}, {&tokens, 80, 0, 23}});
    RunStep(*decoder, {{&tokens, 40, 0, 11}});

    CHECK(SameBits(batched, alone));
    CHECK(SameBits(RunStep(*decoder, {{&tokens, 40, 11, 23}}), alone));
  }
}

TEST_CASE("On a group a step may have outputs at many rows, as one that verifies drafts has") {
  DecoderOptions options = DividedOptions();
  options.devices = Ranks(2);
  const std::unique_ptr<Decoder> decoder = LoadSmall(options);
  const std::vector<int32_t> tokens = Prompt(60, 6);
  StepPlan plan = PlanOf({{&tokens, 0, 0, 60}});
  const TokenChoice last = plan.outputs[0];
  plan.outputs.clear();
  plan.output_tokens.clear();
  // Each row twice is more than there are rows of logits at once.
  for (int32_t i = 0; i < 120; ++i) {
    plan.output_tokens.push_back(i / 2);
    plan.outputs.push_back(last);
  }
  StepResult result;
  REQUIRE(decoder->Execute(plan, result).ok());

  for (const int32_t end : {1, 31, 33, 60}) {
    CAPTURE(end);
    const std::vector<TokenLogprob> alone = RunStep(*decoder, {{&tokens, 100, 0, end}});
    CHECK(SameBits(result.outputs[static_cast<size_t>(2 * end - 1)].top, alone));
  }
}

TEST_CASE("A step on a group takes the tokens of the step before") {
  const std::vector<int32_t> tokens = Prompt(9, 4);
  std::vector<std::vector<uint32_t>> chosen;
  for (const size_t num_ranks : {size_t{1}, size_t{2}}) {
    DecoderOptions options = DividedOptions();
    options.devices = Ranks(num_ranks);
    const std::unique_ptr<Decoder> decoder = LoadSmall(options);
    std::vector<uint32_t>& ids = chosen.emplace_back();
    for (int32_t end = 9; end < 14; ++end) {
      std::vector<int32_t> unknown = tokens;
      unknown.resize(static_cast<size_t>(end));
      StepPlan plan = PlanOf({{&unknown, 0, end == 9 ? 0 : end - 1, end}});
      plan.outputs[0].sample.emplace().temperature = 0.0f;
      if (end > 9) plan.previous_outputs = {0};
      StepResult result;
      REQUIRE(decoder->Execute(plan, result).ok());
      ids.push_back(result.outputs[0].token_id);
    }
  }

  CHECK_EQ(chosen[1], chosen[0]);
}

TEST_CASE("Ranks hold a share of weights and cache each, with KV heads repeated where they must be") {
  DecoderOptions options = DividedOptions();
  const int64_t blocks = LoadSmall(options)->description().num_blocks;
  const size_t weight_bytes = LoadSmall(options)->description().weight_bytes;
  options.devices = Ranks(2);
  const std::unique_ptr<Decoder> two = LoadSmall(options);
  options.devices = Ranks(4);
  const std::unique_ptr<Decoder> four = LoadSmall(options);

  CHECK_EQ(two->description().num_blocks, blocks);
  CHECK_EQ(four->description().num_blocks, blocks / 2);
  CHECK_LE(four->description().kv_cache_bytes, static_cast<size_t>(options.kv_cache_bytes));
  // Panels of few columns are filled up, and norms are on each rank.
  CHECK_LT(two->description().weight_bytes, weight_bytes * 5 / 4);
}

TEST_CASE("A group's memory is asked for as a whole, before a weight is read") {
  DecoderOptions options = DividedOptions();
  options.devices = Ranks(2);
  options.kv_cache_bytes = int64_t{1} << 44;

  const Status status = Decoder::Load(options, OpenDevice).status();

  CHECK_EQ(status.reason(), Reason::kOutOfMemory);
  CHECK_NE(status.message().find("KV cache of " + GibText(uint64_t{1} << 44)), std::string::npos);
}

TEST_CASE("Each rank keeps its own weights, and finds them again") {
  const TemporaryDirectory folder;
  DecoderOptions options = SmallOptions();
  options.random.reset();
  options.directory = FixturePath("glm4-tiny-w4a16");
  options.weights_cache = folder.path();
  const std::vector<int32_t> tokens = Prompt(20, 3);
  const DecoderTrace written = TraceOn(options, 2, tokens);
  TraceOn(options, 1, tokens);

  options.devices = Ranks(2);
  const std::unique_ptr<Decoder> again = LoadSmall(options);

  size_t num_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (entry.path().extension() == ".weights") ++num_files;
  }
  CHECK_EQ(num_files, 3);
  CHECK_EQ(again->description().weights_cache.outcome, WeightCacheReport::Outcome::kMapped);
  CHECK_EQ(TraceOn(options, 2, tokens).logits, written.logits);
}

// A device of two threads whose memory can run out: the seam by which a rank fails.
std::atomic<bool> is_exhausted = false;
Ops exhaustible_ops;

Result<DeviceBuffer> AllocateUnlessExhausted(OpsContext&, size_t bytes) {
  if (is_exhausted) return OutOfMemory("the test says so");
  return AllocateHostMemory(bytes);
}

Result<Device> OpenExhaustible(const DeviceId& id) {
  Result<Device> device = OpenDevice(id);
  if (!device.ok() || id.max_threads != 2) return device;
  exhaustible_ops = *device.value().ops;
  exhaustible_ops.allocate = AllocateUnlessExhausted;
  device.value().ops = &exhaustible_ops;
  return device;
}

TEST_CASE("A rank that fails in a step fails it for all, by name, and the next step runs") {
  DecoderOptions options = DividedOptions();
  options.devices = Ranks(3);
  options.random->num_heads = 6;
  options.random->num_kv_heads = 3;
  options.devices[1].max_threads = 2;
  Result<std::unique_ptr<Decoder>> loaded = Decoder::Load(options, OpenExhaustible);
  REQUIRE(loaded.ok());
  Decoder& decoder = *loaded.value();
  const std::vector<int32_t> tokens = Prompt(60, 2);
  const std::vector<int32_t> others = Prompt(9, 3);
  const std::vector<TokenLogprob> before = RunStep(decoder, {{&others, 0, 0, 9}});

  // A wider block table than any before needs a larger array.
  StepPlan larger = PlanOf({{&tokens, 16, 0, 60}});
  larger.max_blocks_per_sequence = 100'000;
  larger.block_tables.resize(100'000, -1);
  is_exhausted = true;
  StepResult result;
  const Status failed = decoder.Execute(larger, result);
  is_exhausted = false;

  CHECK_EQ(failed.reason(), Reason::kOutOfMemory);
  CHECK_NE(failed.message().find("rank 1 of 3, cpu: the test says so"), std::string::npos);
  CHECK(SameBits(RunStep(decoder, {{&others, 40, 0, 9}}), before));
  CHECK(SameBits(RunStep(decoder, {{&others, 0, 8, 9}}), before));
}

TEST_CASE("A rank that cannot be loaded ends the load of the others") {
  DecoderOptions options = DividedOptions();
  options.devices = Ranks(2);
  options.devices[1].max_threads = 2;
  is_exhausted = true;

  const Status status = Decoder::Load(options, OpenExhaustible).status();
  is_exhausted = false;

  CHECK_EQ(status.reason(), Reason::kOutOfMemory);
  CHECK_NE(status.message().find("rank 1 of 2"), std::string::npos);
}

TEST_CASE("A plan that all ranks refuse is refused as on one device") {
  DecoderOptions options = DividedOptions();
  options.devices = Ranks(2);
  const std::unique_ptr<Decoder> decoder = LoadSmall(options);
  const std::vector<int32_t> tokens = Prompt(9, 2);
  StepPlan plan = PlanOf({{&tokens, 0, 0, 9}});
  plan.block_tables[0] = 1 << 20;
  StepResult result;

  const Status refused = decoder->Execute(plan, result);

  CHECK_EQ(refused.reason(), Reason::kInvalidRequest);
  CHECK_EQ(refused.message().find("rank"), std::string::npos);
  CHECK_EQ(RunStep(*decoder, {{&tokens, 0, 0, 9}}).size(), kMaxLogprobs);
}

TEST_CASE("A number of ranks that a model cannot be divided by is refused with those that it can") {
  const auto refusal = [](int num_ranks, const auto& change) {
    DecoderConfig config = *DividedOptions().random;
    config.num_heads = 32;
    change(config);
    const Result<DecoderShard> shard = MakeShard(config, 0, num_ranks);
    return shard.ok() ? std::string() : shard.status().message();
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };

  const std::string heads = refusal(3, [](DecoderConfig&) {});
  CHECK(has(heads, "key \"tensor-parallel-size\": 3 devices"));
  CHECK(has(heads, "32 attention heads cannot be divided by 3; it can be 1, 2, 4, 8, 16, 32"));
  CHECK(has(refusal(4, [](DecoderConfig& c) { c.num_kv_heads = 6; }), "6 key-value heads"));
  CHECK(has(refusal(2, [](DecoderConfig& c) { c.intermediate_size = 1; }), "MLP's 1 values"));
  CHECK(has(refusal(2, [](DecoderConfig& c) { c.vocab_size = 1; }), "vocabulary's 1 rows"));
}

TEST_CASE("Shards cover a decoder without gaps, the MLP in whole groups of int4 where it has them") {
  DecoderConfig config;  // of GLM-4-9B
  config.num_heads = 32;
  config.num_kv_heads = 2;
  config.head_dim = 128;
  config.intermediate_size = 13696;
  config.vocab_size = 151552;
  for (const int num_ranks : {1, 2, 4, 8}) {
    CAPTURE(num_ranks);
    Slice heads, inner, vocabulary;
    for (int rank = 0; rank < num_ranks; ++rank) {
      const Result<DecoderShard> shard = MakeShard(config, rank, num_ranks);
      REQUIRE(shard.ok());
      const auto follows = [](Slice& whole, const Slice& next) {
        CHECK_EQ(next.first, whole.count);
        whole.count += next.count;
      };
      follows(heads, shard.value().heads);
      follows(inner, shard.value().intermediate);
      follows(vocabulary, shard.value().vocabulary);
      CHECK_EQ(shard.value().intermediate.first % 128, 0);
      CHECK_EQ(shard.value().kv_heads.first, rank * 2 / num_ranks);
      CHECK_EQ(shard.value().kv_heads.count, std::max(2 / num_ranks, 1));
    }
    CHECK_EQ(heads.count, 32);
    CHECK_EQ(inner.count, 13696);
    CHECK_EQ(vocabulary.count, 151552);
  }
}

}  // namespace
}  // namespace autoglm
