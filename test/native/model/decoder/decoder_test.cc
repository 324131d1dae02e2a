#include "model/decoder/decoder.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>

#include "doctest/doctest.h"
#include "kernels/open_device.h"
#include "model/decoder/decoder_steps.h"
#include "temporary_directory.h"

namespace autoglm {
namespace {

struct Numbers {
  Dtype activation;
  KvDtype cache;
};

TEST_CASE("A prompt gives the same bits whole and in chunks of any size") {
  for (const Numbers& numbers : {Numbers{Dtype::kFloat32, KvDtype::kFloat32},
                                 Numbers{Dtype::kBfloat16, KvDtype::kBfloat16},
                                 Numbers{Dtype::kFloat32, KvDtype::kBfloat16},
                                 Numbers{Dtype::kFloat32, KvDtype::kInt8},
                                 Numbers{Dtype::kBfloat16, KvDtype::kInt8}}) {
    DecoderOptions options = SmallOptions();
    options.activation_dtype = numbers.activation;
    options.kv_dtype = numbers.cache;
    const std::unique_ptr<Decoder> decoder = LoadSmall(options);
    const std::vector<int32_t> tokens = Prompt(41, 5);
    const std::vector<TokenLogprob> whole = RunStep(*decoder, {{&tokens, 0, 0, 41}});
    for (const int32_t size : {1, 3, 17}) {
      CAPTURE(size);
      CAPTURE(DtypeName(numbers.activation));
      CAPTURE(KvDtypeName(numbers.cache));
      std::vector<TokenLogprob> last;
      for (int32_t begin = 0; begin < 41; begin += size) {
        last = RunStep(*decoder, {{&tokens, 20, begin, std::min(begin + size, 41)}});
      }

      CHECK(SameBits(last, whole));
    }
  }
}

TEST_CASE("A smaller type of KV cache holds more blocks and moves the logits a little") {
  DecoderOptions options = SmallOptions();
  const std::vector<int32_t> tokens = Prompt(60, 7);
  const TraceRequest request = {tokens, PlanOf({{&tokens, 0, 0, 60}}).positions, {}};
  const std::unique_ptr<Decoder> exact = LoadSmall(options);
  DecoderTrace expected;
  REQUIRE(exact->Trace(request, expected).ok());
  CHECK_EQ(exact->description().kv_dtype, KvDtype::kFloat32);
  // Two layers of keys and values of two heads: four tokens of 20 numbers, in int8 with a scale.
  CHECK_EQ(exact->description().num_blocks, (1 << 20) / (8 * 4 * 20 * 4));

  for (const KvDtype dtype : {KvDtype::kBfloat16, KvDtype::kInt8}) {
    CAPTURE(KvDtypeName(dtype));
    options.kv_dtype = dtype;
    const std::unique_ptr<Decoder> decoder = LoadSmall(options);
    DecoderTrace trace;
    REQUIRE(decoder->Trace(request, trace).ok());

    const int64_t row_bytes = dtype == KvDtype::kInt8 ? 20 + 4 : 2 * 20;
    CHECK_EQ(decoder->description().kv_dtype, dtype);
    CHECK_EQ(decoder->description().num_blocks, (1 << 20) / (8 * 4 * row_bytes));
    double difference = 0.0;
    double norm = 0.0;
    for (size_t i = 0; i < trace.logits.size(); ++i) {
      difference += std::pow(trace.logits[i] - expected.logits[i], 2.0);
      norm += std::pow(expected.logits[i], 2.0);
    }
    CHECK_GT(difference, 0.0);
    CHECK_LT(std::sqrt(difference / norm), dtype == KvDtype::kInt8 ? 1e-2 : 3e-3);
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
  options.devices[0].cores = {AvailableCores().front()};

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
  CHECK_EQ(refusal([](DecoderOptions& o) { o.devices[0].kind = DeviceKind::kCuda; }).reason(),
           Reason::kUnsupported);
}

TEST_CASE("Loading gives up when it is cancelled") {
  std::atomic<bool> cancelled{true};
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

TEST_CASE("A number of layers that the weights do not have is refused before it sizes memory") {
  const std::filesystem::path source = std::filesystem::path(TESTDATA) / "glm4-tiny";
  const TemporaryDirectory directory;
  std::filesystem::copy_file(source / "model.safetensors", directory.path() + "/model.safetensors");
  std::string config((std::istreambuf_iterator<char>(std::ifstream(source / "config.json").rdbuf())),
                     {});
  const std::string key = "\"num_hidden_layers\": ";
  const size_t at = config.find(key);
  REQUIRE_NE(at, std::string::npos);
  directory.Write("config.json", config.insert(at + key.size(), "9000000"));
  DecoderOptions options = SmallOptions();
  options.random.reset();
  options.directory = directory.path();

  const Status status = Decoder::Load(options, OpenDevice).status();

  CHECK_EQ(status.reason(), Reason::kInvalidCheckpoint);
  CHECK_MESSAGE(status.message().find("config.json: num_hidden_layers is 9000000") !=
                    std::string::npos,
                status.message());
}

TEST_CASE("Positions beyond the cache take no memory") {
  DecoderOptions options = SmallOptions();
  options.random->max_position_embeddings = std::numeric_limits<int32_t>::max();
  const std::unique_ptr<Decoder> decoder = LoadSmall(options);
  const std::vector<int32_t> prompt = Prompt(9, 3);

  CHECK(SameBits(RunStep(*decoder, {{&prompt, 0, 0, 9}}),
                 RunStep(*LoadSmall(SmallOptions()), {{&prompt, 0, 0, 9}})));
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
