#include "model/decoder/decoder.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>

#include "doctest/doctest.h"
#include "kernels/open_device.h"
#include "temporary_directory.h"

namespace autoglm {
namespace {

constexpr int64_t kBlockSize = 4;

DecoderOptions SmallOptions() {
  DecoderConfig shape;
  shape.model_type = "glm4";
  shape.hidden_size = 48;
  shape.num_layers = 2;
  shape.num_heads = 6;
  shape.num_kv_heads = 2;
  shape.head_dim = 20;
  shape.num_rope_pairs = 5;
  shape.intermediate_size = 72;
  shape.vocab_size = 101;
  shape.max_position_embeddings = 256;
  DecoderOptions options;
  options.random = shape;
  options.block_size = kBlockSize;
  options.kv_cache_bytes = 1 << 20;
  options.max_num_batched_tokens = 128;
  return options;
}

std::unique_ptr<Decoder> LoadSmall(const DecoderOptions& options) {
  Result<std::unique_ptr<Decoder>> decoder = Decoder::Load(options, OpenDevice);
  REQUIRE(decoder.ok());
  return std::move(decoder.value());
}

// Tokens `begin` .. `end` - 1 of a sequence that owns blocks from `first_block`.
struct Chunk {
  const std::vector<int32_t>* tokens;
  int32_t first_block;
  int32_t begin;
  int32_t end;
};

// Plans a step of these chunks that scores the last token of each against all others.
StepPlan PlanOf(const std::vector<Chunk>& chunks) {
  StepPlan plan;
  plan.max_blocks_per_sequence = 16;
  plan.query_starts = {0};
  std::vector<int32_t> positions;
  for (const Chunk& chunk : chunks) {
    for (int32_t i = chunk.begin; i < chunk.end; ++i) {
      plan.token_ids.push_back((*chunk.tokens)[static_cast<size_t>(i)]);
      positions.push_back(i);
      plan.slots.push_back(chunk.first_block * kBlockSize + i);
    }
    plan.query_starts.push_back(static_cast<int32_t>(plan.num_tokens()));
    plan.context_lens.push_back(chunk.end);
    for (int32_t block = 0; block < 16; ++block) {
      plan.block_tables.push_back(chunk.first_block + block);
    }
    TokenChoice output;
    plan.output_tokens.push_back(static_cast<int32_t>(plan.num_tokens()) - 1);
    output.num_logprobs = kMaxLogprobs;
    plan.outputs.push_back(output);
  }
  for (int axis = 0; axis < 3; ++axis) {
    plan.positions.insert(plan.positions.end(), positions.begin(), positions.end());
  }
  return plan;
}

// Runs a step and returns the log-probabilities of its last output: their bits tell any difference.
std::vector<TokenLogprob> RunStep(Decoder& decoder, const std::vector<Chunk>& chunks) {
  StepResult result;
  const Status status = decoder.Execute(PlanOf(chunks), result);
  REQUIRE_MESSAGE(status.ok(), status.message());
  return result.outputs.back().top;
}

bool SameBits(const std::vector<TokenLogprob>& a, const std::vector<TokenLogprob>& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
           return x.token_id == y.token_id &&
                  std::memcmp(&x.logprob, &y.logprob, sizeof(float)) == 0;
         });
}

std::vector<int32_t> Prompt(int32_t length, int32_t seed) {
  std::vector<int32_t> tokens(static_cast<size_t>(length));
  for (int32_t i = 0; i < length; ++i) tokens[static_cast<size_t>(i)] = (seed + 37 * i * i) % 101;
  return tokens;
}

TEST_CASE("A prompt gives the same bits whole and in chunks of any size") {
  for (const Dtype activation : {Dtype::kFloat32, Dtype::kBfloat16}) {
    DecoderOptions options = SmallOptions();
    options.activation_dtype = activation;
    const std::unique_ptr<Decoder> decoder = LoadSmall(options);
    const std::vector<int32_t> tokens = Prompt(41, 5);
    const std::vector<TokenLogprob> whole = RunStep(*decoder, {{&tokens, 0, 0, 41}});
    for (const int32_t size : {1, 3, 17}) {
      CAPTURE(size);
      CAPTURE(DtypeName(activation));
      std::vector<TokenLogprob> last;
      for (int32_t begin = 0; begin < 41; begin += size) {
        last = RunStep(*decoder, {{&tokens, 20, begin, std::min(begin + size, 41)}});
      }

      CHECK(SameBits(last, whole));
    }
  }
}

TEST_CASE("A sequence gives the same bits alone and among others") {
  const std::unique_ptr<Decoder> decoder = LoadSmall(SmallOptions());
  const std::vector<int32_t> tokens = Prompt(23, 1);
  const std::vector<int32_t> others = Prompt(30, 2);
  const std::vector<TokenLogprob> alone = RunStep(*decoder, {{&tokens, 0, 0, 23}});

  const std::vector<TokenLogprob> batched = RunStep(*decoder, {{&others, 16, 0, 30},
                                                               {&others, 32, 0, 7},
                                                               {&others, 48, 0, 1},
                                                               {&others, 64, 0, 19},
                                                               {&tokens, 80, 0, 23}});

  CHECK(SameBits(batched, alone));
}

TEST_CASE("A sequence gives the same bits on any number of threads") {
  const std::vector<int32_t> tokens = Prompt(50, 3);
  DecoderOptions options = SmallOptions();
  const std::vector<TokenLogprob> many = RunStep(*LoadSmall(options), {{&tokens, 0, 0, 50}});
  options.device.cores = {AvailableCores().front()};

  CHECK(SameBits(RunStep(*LoadSmall(options), {{&tokens, 0, 0, 50}}), many));
}

TEST_CASE("A step with more outputs than rows of logits fit scores each of them") {
  const std::unique_ptr<Decoder> decoder = LoadSmall(SmallOptions());
  const std::vector<int32_t> tokens = Prompt(60, 4);
  StepPlan plan = PlanOf({{&tokens, 0, 0, 60}});
  const TokenChoice last = plan.outputs[0];
  StepResult single;
  REQUIRE(decoder->Execute(plan, single).ok());
  plan.outputs.assign(static_cast<size_t>(kMaxLogitRows) + 5, last);
  plan.output_tokens.assign(plan.outputs.size(), plan.output_tokens[0]);

  StepResult result;
  REQUIRE(decoder->Execute(plan, result).ok());

  REQUIRE_EQ(result.outputs.size(), kMaxLogitRows + 5);
  for (const ChosenToken& output : result.outputs) {
    REQUIRE(SameBits(output.top, single.outputs[0].top));
  }
}

TEST_CASE("Media rows stand where their token embeddings would") {
  const std::unique_ptr<Decoder> decoder = LoadSmall(SmallOptions());
  const std::vector<int32_t> tokens = Prompt(6, 6);
  TraceRequest request = {tokens, PlanOf({{&tokens, 0, 0, 6}}).positions, {}};
  DecoderTrace text;
  REQUIRE(decoder->Trace(request, text).ok());
  // The media rows are the embeddings of tokens 2 and 3 themselves.
  request.media_rows = {{.first_token = 2,
                         .num_rows = 2,
                         .dtype = Dtype::kFloat32,
                         .rows = text.hidden[0].data() + 2 * 48,
                         .bytes = 2 * 48 * sizeof(float)}};
  request.token_ids[2] = -1;
  request.token_ids[3] = 1 << 30;

  DecoderTrace media;
  REQUIRE(decoder->Trace(request, media).ok());

  CHECK_EQ(media.hidden[0], text.hidden[0]);
  CHECK_EQ(media.logits, text.logits);
}

TEST_CASE("A trace leaves the cache of running sequences alone") {
  const std::unique_ptr<Decoder> decoder = LoadSmall(SmallOptions());
  const std::vector<int32_t> tokens = Prompt(20, 8);
  const std::vector<TokenLogprob> whole = RunStep(*decoder, {{&tokens, 40, 0, 20}});
  RunStep(*decoder, {{&tokens, 0, 0, 19}});

  DecoderTrace trace;
  const std::vector<int32_t> other = Prompt(30, 9);
  REQUIRE(decoder->Trace({other, PlanOf({{&other, 0, 0, 30}}).positions, {}}, trace).ok());

  CHECK(SameBits(RunStep(*decoder, {{&tokens, 0, 19, 20}}), whole));
}

TEST_CASE("A refused plan changes nothing and the next one runs") {
  const std::unique_ptr<Decoder> decoder = LoadSmall(SmallOptions());
  const std::vector<int32_t> tokens = Prompt(9, 2);
  StepPlan plan = PlanOf({{&tokens, 0, 0, 9}});
  plan.block_tables[0] = 1 << 20;
  StepResult result;

  CHECK_EQ(decoder->Execute(plan, result).reason(), Reason::kInvalidRequest);
  CHECK_EQ(RunStep(*decoder, {{&tokens, 0, 0, 9}}).size(), kMaxLogprobs);
}

TEST_CASE("Options that cannot work are refused with what could") {
  const auto refusal = [](const auto& change) {
    DecoderOptions options = SmallOptions();
    change(options);
    const Result<std::unique_ptr<Decoder>> decoder = Decoder::Load(options, OpenDevice);
    return decoder.ok() ? Status() : decoder.status();
  };

  CHECK_NE(refusal([](DecoderOptions& o) { o.kv_cache_bytes = 100; }).message().find("one block"),
           std::string::npos);
  CHECK_NE(refusal([](DecoderOptions& o) { o.block_size = 0; }).message().find("blockSize"),
           std::string::npos);
  CHECK_NE(refusal([](DecoderOptions& o) { o.max_num_batched_tokens = 0; })
               .message()
               .find("maxNumBatchedTokens"),
           std::string::npos);
  CHECK_NE(refusal([](DecoderOptions& o) { o.activation_dtype = Dtype::kFloat16; })
               .message()
               .find("overflows"),
           std::string::npos);
  CHECK_EQ(refusal([](DecoderOptions& o) { o.random->num_kv_heads = 0; }).reason(),
           Reason::kInvalidCheckpoint);
  CHECK_EQ(refusal([](DecoderOptions& o) { o.device.kind = DeviceKind::kCuda; }).reason(),
           Reason::kUnsupported);
}

TEST_CASE("Loading gives up when it is cancelled") {
  const std::atomic<bool> cancelled{true};
  DecoderOptions options = SmallOptions();
  options.cancelled = &cancelled;

  CHECK_EQ(Decoder::Load(options, OpenDevice).status().reason(), Reason::kEngineClosed);
}

TEST_CASE("A checkpoint that is truncated or lacks a tensor is refused by name") {
  const std::filesystem::path source = std::filesystem::path(TESTDATA) / "glm4-tiny";
  const TemporaryDirectory directory;
  std::filesystem::copy_file(source / "config.json", directory.path() + "/config.json");
  const std::string weights = directory.path() + "/model.safetensors";
  std::filesystem::copy_file(source / "model.safetensors", weights);
  DecoderOptions options = SmallOptions();
  options.random.reset();
  options.directory = directory.path();
  REQUIRE(Decoder::Load(options, OpenDevice).ok());

  std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
  std::string header(4096, '\0');
  file.read(header.data(), 4096);
  const size_t name = header.find("model.layers.1.mlp.down_proj.weight");
  REQUIRE_NE(name, std::string::npos);
  file.seekp(static_cast<std::streamoff>(name));
  file << "model.layers.9";
  file.close();
  const Status missing = Decoder::Load(options, OpenDevice).status();
  std::filesystem::resize_file(weights, std::filesystem::file_size(weights) - 1);
  const Status truncated = Decoder::Load(options, OpenDevice).status();

  CHECK_NE(missing.message().find("\"layers.1.mlp.down_proj.weight\" is missing"),
           std::string::npos);
  CHECK_NE(truncated.message().find("outside the"), std::string::npos);
}

TEST_CASE("An output that fails leaves the others of its step as they are alone") {
  const std::unique_ptr<Decoder> decoder = LoadSmall(SmallOptions());
  const std::vector<int32_t> a = Prompt(9, 3);
  const std::vector<int32_t> b = Prompt(12, 8);
  const std::vector<TokenLogprob> alone = RunStep(*decoder, {{&b, 16, 0, 12}});
  const auto with_params = [&](const std::function<void(SampleParams&)>& apply) {
    StepPlan plan = PlanOf({{&a, 0, 0, 9}, {&b, 16, 0, 12}});
    SampleParams params;
    params.vocab_limit = 101;
    apply(params);
    plan.outputs[0].sample = params;
    StepResult result;
    REQUIRE(decoder->Execute(plan, result).ok());
    CHECK(result.outputs[1].status.ok());
    CHECK(SameBits(result.outputs[1].top, alone));
    return result.outputs[0].status.reason();
  };

  CHECK_EQ(with_params([](SampleParams& p) { p.temperature = -1.0f; }), Reason::kInvalidRequest);
  CHECK_EQ(with_params([](SampleParams& p) {
             p.forbidden_token_ids.resize(101);
             std::iota(p.forbidden_token_ids.begin(), p.forbidden_token_ids.end(), 0);
           }),
           Reason::kInvalidRequest);
  CHECK_EQ(with_params([](SampleParams& p) {
             p.repetition_penalty = std::numeric_limits<float>::denorm_min();
             p.seen_token_ids.resize(101);
             std::iota(p.seen_token_ids.begin(), p.seen_token_ids.end(), 0);
           }),
           Reason::kEngineFailed);
}

TEST_CASE("Rows of media that are not numbers end their own sequence alone") {
  const std::unique_ptr<Decoder> decoder = LoadSmall(SmallOptions());
  const std::vector<int32_t> a = Prompt(9, 3);
  const std::vector<int32_t> b = Prompt(12, 8);
  const std::vector<TokenLogprob> alone = RunStep(*decoder, {{&b, 16, 0, 12}});
  const std::vector<float> rows(48, std::numeric_limits<float>::quiet_NaN());
  StepPlan plan = PlanOf({{&a, 0, 0, 9}, {&b, 16, 0, 12}});
  plan.media_rows = {{2, 1, Dtype::kFloat32, rows.data(), rows.size() * sizeof(float)}};
  StepResult result;

  REQUIRE(decoder->Execute(plan, result).ok());

  CHECK_EQ(result.outputs[0].status.reason(), Reason::kEngineFailed);
  CHECK(result.outputs[1].status.ok());
  CHECK(SameBits(result.outputs[1].top, alone));
}

}  // namespace
}  // namespace autoglm
