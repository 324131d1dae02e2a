// Measures the decoder on a GPU beside what the same GPU gives in the same run:
//   gpu_bench [--device N] [--layers N] [--json]
// The shape is that of GLM-4-9B, with random weights. --json prints an object a line, a Figure of
// test/perf/figure.ts.

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "device/gpu_driver.h"
#include "gpu/gpu_peak.h"
#include "gpu/group_sums.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/runtime.h"
#include "model/decoder/decoder.h"

namespace autoglm::perf {
namespace {

constexpr int kNumRounds = 7;
constexpr int64_t kBlockSize = 16;
constexpr int64_t kContext = 512;
constexpr int64_t kNumSequences = 64;
constexpr int64_t kPrompt = 2048;
// Tokens of the vocabulary that prompts have and that may be sampled.
constexpr uint32_t kVocabLimit = 1024;
constexpr double kGiga = 1e9;

struct Settings {
  int ordinal = 0;
  int64_t num_layers = 40;
  bool prints_json = false;
};

// One line of the table; the limit's name is empty if there is none.
struct Figure {
  std::string name;
  double value;
  const char* unit;
  const char* limit = "";
  double share = 0.0;
};

// Sequences of equal length in one step.
struct Step {
  int64_t num_sequences;
  int64_t num_tokens;  // of each sequence in this step
  int64_t num_cached;  // of each before it

  int64_t BlocksEach() const { return (num_cached + num_tokens + kBlockSize - 1) / kBlockSize; }
};

constexpr Step kOne = {1, 1, kContext};
constexpr Step kMany = {kNumSequences, 1, kContext};
constexpr Step kWholePrompt = {1, kPrompt, 0};

void Print(const Settings& settings, const Figure& figure) {
  const bool has_limit = figure.limit[0] != '\0';
  if (settings.prints_json) {
    std::printf("{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"", figure.name.c_str(), figure.value,
                figure.unit);
    if (has_limit) {
      std::printf(",\"limit\":{\"name\":\"%s\",\"share\":%.4f}", figure.limit, figure.share);
    }
    std::printf("}\n");
  } else {
    std::printf("%-58s %10.4g %-9s", figure.name.c_str(), figure.value, figure.unit);
    if (has_limit) std::printf(" %5.1f %% of %s", 100.0 * figure.share, figure.limit);
    std::printf("\n");
  }
  std::fflush(stdout);
}

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(1);
}

DecoderConfig Shape(int64_t num_layers) {
  DecoderConfig shape;
  shape.model_type = "glm4";
  shape.hidden_size = 4096;
  shape.num_layers = num_layers;
  shape.num_heads = 32;
  shape.num_kv_heads = 2;
  shape.head_dim = 128;
  shape.num_rope_pairs = 32;
  shape.intermediate_size = 13696;
  shape.vocab_size = 151552;
  shape.max_position_embeddings = 32768;
  return shape;
}

// Number of weights that multiply every token, without the head.
double LayerWeights(const DecoderConfig& shape) {
  const int64_t query = shape.hidden_size * shape.num_heads * shape.head_dim;
  const int64_t key_value = 2 * shape.hidden_size * shape.num_kv_heads * shape.head_dim;
  const int64_t mlp = 3 * shape.hidden_size * shape.intermediate_size;
  return static_cast<double>(shape.num_layers * (2 * query + key_value + mlp));
}

double HeadWeights(const DecoderConfig& shape) {
  return static_cast<double>(shape.hidden_size * shape.vocab_size);
}

// Bytes of keys and values of the tokens of one sequence, in bfloat16.
double CacheBytes(const DecoderConfig& shape, int64_t num_tokens) {
  return static_cast<double>(2 * shape.num_layers * shape.num_kv_heads * shape.head_dim * num_tokens *
                             static_cast<int64_t>(sizeof(uint16_t)));
}

StepPlan PlanOf(const Step& step) {
  StepPlan plan;
  plan.max_blocks_per_sequence = step.BlocksEach();
  plan.query_starts = {0};
  std::vector<int32_t> positions;
  for (int64_t sequence = 0; sequence < step.num_sequences; ++sequence) {
    const int64_t first_block = sequence * step.BlocksEach();
    for (int64_t i = 0; i < step.num_tokens; ++i) {
      const int64_t position = step.num_cached + i;
      plan.token_ids.push_back(static_cast<int32_t>((sequence + i) % kVocabLimit));
      positions.push_back(static_cast<int32_t>(position));
      plan.slots.push_back(static_cast<int32_t>(first_block * kBlockSize + position));
    }
    for (int64_t block = 0; block < step.BlocksEach(); ++block) {
      plan.block_tables.push_back(static_cast<int32_t>(first_block + block));
    }
    plan.query_starts.push_back(static_cast<int32_t>(plan.num_tokens()));
    plan.context_lens.push_back(static_cast<int32_t>(step.num_cached + step.num_tokens));
    plan.output_tokens.push_back(static_cast<int32_t>(plan.num_tokens()) - 1);
    TokenChoice output;
    output.sample.emplace().vocab_limit = kVocabLimit;
    plan.outputs.push_back(std::move(output));
  }
  for (int axis = 0; axis < 3; ++axis) {
    plan.positions.insert(plan.positions.end(), positions.begin(), positions.end());
  }
  return plan;
}

// Returns this GPU and those behind it; a machine that has fewer gives some of them again.
std::vector<DeviceId> GpusOf(const Settings& settings, size_t count) {
  std::vector<DeviceId> gpus(count);
  const size_t num_gpus = GpuDriver::OfProcess().ListGpus().size();
  for (size_t i = 0; i < gpus.size(); ++i) {
    gpus[i].kind = DeviceKind::kCuda;
    gpus[i].ordinal = static_cast<int>((static_cast<size_t>(settings.ordinal) + i) % num_gpus);
  }
  return gpus;
}

// Loads a decoder of bfloat16 with random weights, whose cache holds so many tokens.
std::unique_ptr<Decoder> Load(const std::vector<DeviceId>& gpus, const DecoderConfig& shape,
                              int64_t num_cached, std::optional<WeightType> type = std::nullopt,
                              bool enforce_eager = false) {
  DecoderOptions options;
  options.enforce_eager = enforce_eager;
  options.random = shape;
  options.devices = gpus;
  options.weight_format = PlainFormat(Dtype::kBfloat16);
  options.quantize.type = type;
  options.activation_dtype = Dtype::kBfloat16;
  options.block_size = kBlockSize;
  options.kv_cache_bytes = static_cast<int64_t>(CacheBytes(shape, num_cached));
  options.max_num_batched_tokens = kPrompt;
  Result<std::unique_ptr<Decoder>> decoder = Decoder::Load(options, cuda::OpenCuda);
  if (!decoder.ok()) Fail(decoder.status().message());
  return std::move(decoder.value());
}

// Returns the median seconds of a step, the host's part included. The first step of its kind loads its
// kernels, and the second one captures them.
double SecondsOf(Decoder& decoder, const Step& step) {
  constexpr int kNumWarmups = 2;
  std::vector<double> seconds;
  for (int round = 0; round < kNumWarmups + kNumRounds; ++round) {
    StepPlan plan = PlanOf(step);
    StepResult result;
    const auto start = std::chrono::steady_clock::now();
    const Status status = decoder.Execute(std::move(plan), result);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    if (!status.ok()) Fail(status.message());
    for (const ChosenToken& token : result.outputs) {
      if (!token.status.ok()) Fail(token.status.message());
    }
    if (round >= kNumWarmups) seconds.push_back(elapsed.count());
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

struct Format {
  const char* name;
  std::optional<WeightType> type;
  double bytes_each;  // of a weight, its scales included
};

// Returns the seconds of a decoding step of one sequence.
double MeasureFormat(const Settings& settings, const GpuPeak& peak, const Format& format) {
  const DecoderConfig shape = Shape(settings.num_layers);
  const int64_t num_blocks = std::max(kNumSequences * kMany.BlocksEach(), kWholePrompt.BlocksEach());
  const std::unique_ptr<Decoder> decoder =
      Load(GpusOf(settings, 1), shape, num_blocks * kBlockSize, format.type);
  const std::string of = std::string("GLM-4-9B, ") + std::to_string(settings.num_layers) +
                         " layers, " + format.name;
  const double weights = LayerWeights(shape) + HeadWeights(shape);

  const double one = SecondsOf(*decoder, kOne);
  const double bytes = weights * format.bytes_each + CacheBytes(shape, kContext);
  Print(settings, {"decode of one sequence, " + of, 1e3 * one, "ms", "copy bandwidth",
                   bytes / one / peak.copy_bytes_per_second});
  const double many = SecondsOf(*decoder, kMany);
  Print(settings, {"decode of 64 sequences, token rate against one, " + of,
                   static_cast<double>(kNumSequences) * one / many, "x"});
  const double prompt = SecondsOf(*decoder, kWholePrompt);
  const double flops = 2.0 * (LayerWeights(shape) * static_cast<double>(kPrompt) + HeadWeights(shape));
  const bool is_int8 = format.type == WeightType::kInt8;
  Print(settings, {"prefill of 2048 tokens, " + of, static_cast<double>(kPrompt) / prompt,
                   "tokens/s", is_int8 ? "int8 products of mma.sync" : "bf16 products of mma.sync",
                   flops / prompt /
                       (is_int8 ? peak.int8_ops_per_second : peak.bfloat16_flops_per_second)});
  return one;
}

// What a step costs the host: a decoder of the same launches whose kernels have next to nothing to do.
void MeasureOverhead(const Settings& settings) {
  DecoderConfig shape = Shape(settings.num_layers);
  shape.hidden_size = 128;
  shape.num_heads = 2;
  shape.num_kv_heads = 1;
  shape.head_dim = 64;
  shape.num_rope_pairs = 16;
  shape.intermediate_size = 128;
  shape.vocab_size = kVocabLimit;
  for (const size_t num_ranks : {size_t{1}, size_t{2}}) {
    // The one KV head is on both.
    const int64_t num_cached = static_cast<int64_t>(num_ranks) * kBlockSize;
    for (const bool enforce_eager : {false, true}) {
      const std::unique_ptr<Decoder> decoder =
          Load(GpusOf(settings, num_ranks), shape, num_cached, std::nullopt, enforce_eager);
      Print(settings, {"a step of nothing but launches, " + std::to_string(settings.num_layers) +
                           " layers, " + (num_ranks == 1 ? "" : "two ranks, ") +
                           (enforce_eager ? "one by one" : "with graphs"),
                       1e6 * SecondsOf(*decoder, {1, 1, 1}), "us"});
    }
  }
}

// Sums over this GPU and the next one, or over this one twice if there is no other.
void MeasureGroup(const Settings& settings) {
  const std::vector<DeviceId> gpus = GpusOf(settings, 2);
  const GroupSums sums = MeasureGroupSums(gpus);
  const bool are_two = gpus[0].ordinal != gpus[1].ordinal;
  const std::string over = are_two ? "two GPUs" : "two ranks on one GPU";
  for (const GroupSumTime& time : sums.times) {
    const std::string what = "sum of " + std::to_string(time.num_values) + " values over " + over;
    Print(settings, {what + ", " + sums.path, time.microseconds, "us"});
  }
}

void Run(const Settings& settings) {
  const Status usable = GpuDriver::OfProcess().CheckGpu(settings.ordinal);
  if (!usable.ok()) Fail(usable.message());
  const GpuDescription gpu =
      GpuDriver::OfProcess().ListGpus()[static_cast<size_t>(settings.ordinal)];
  if (!settings.prints_json) {
    std::printf("%s, compute capability %d.%d, %.0f GiB\n", gpu.name.c_str(), gpu.capability_major,
                gpu.capability_minor, static_cast<double>(gpu.memory_bytes) / (1 << 30));
  }
  GpuPeak peak = {};
  {
    Result<std::unique_ptr<cuda::Stream>> stream = cuda::Stream::Open(settings.ordinal);
    if (!stream.ok()) Fail(stream.status().message());
    peak = MeasureGpuPeak(*stream.value());
  }
  Print(settings, {"GPU: copy bandwidth", peak.copy_bytes_per_second / kGiga, "GB/s"});
  Print(settings, {"GPU: bf16 products of mma.sync", peak.bfloat16_flops_per_second / kGiga, "GFLOP/s"});
  Print(settings, {"GPU: int8 products of mma.sync", peak.int8_ops_per_second / kGiga, "GOP/s"});

  const double plain = MeasureFormat(settings, peak, {"bfloat16", std::nullopt, 2.0});
  MeasureFormat(settings, peak, {"int8", WeightType::kInt8, 1.0});
  const double int4 = MeasureFormat(settings, peak, {"int4", WeightType::kInt4, 0.5 + 4.0 / 128});
  Print(settings, {"decode of one sequence, int4 against bfloat16", plain / int4, "x"});
  MeasureOverhead(settings);
  MeasureGroup(settings);
}

// Reads a whole number of at least `min`.
bool ReadNumber(const char* text, int64_t min, int64_t* number) {
  const char* const end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, *number);
  return error == std::errc() && rest == end && *number >= min;
}

bool ReadSettings(int argc, char** argv, Settings* settings) {
  for (int i = 1; i < argc; ++i) {
    int64_t number = 0;
    const bool has_value = i + 1 < argc;
    if (std::strcmp(argv[i], "--json") == 0) {
      settings->prints_json = true;
    } else if (std::strcmp(argv[i], "--device") == 0 && has_value &&
               ReadNumber(argv[i + 1], 0, &number)) {
      settings->ordinal = static_cast<int>(number);
      ++i;
    } else if (std::strcmp(argv[i], "--layers") == 0 && has_value &&
               ReadNumber(argv[i + 1], 1, &number)) {
      settings->num_layers = number;
      ++i;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace
}  // namespace autoglm::perf

int main(int argc, char** argv) {
  autoglm::perf::Settings settings;
  if (!autoglm::perf::ReadSettings(argc, argv, &settings)) {
    std::fprintf(stderr, "usage: gpu_bench [--device N] [--layers N] [--json]\n");
    return 2;
  }
  autoglm::perf::Run(settings);
  return 0;
}
