#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "model/checkpoint/checkpoint.h"
#include "model/decoder/decoder.h"
#include "model/checkpoint/random_weights.h"

namespace autoglm {
namespace {

// Returns the number of elements of the largest matrix, the most that one tensor of random weights
// has.
int64_t LargestMatrix(const DecoderConfig& config) {
  const int64_t widest = std::max(
      {config.vocab_size, 2 * config.intermediate_size, config.num_heads * config.head_dim});
  return widest * config.hidden_size;
}

Status CheckOptions(const DecoderOptions& options) {
  if (options.block_size <= 0 || options.block_size > 1024) {
    return InvalidRequest("blockSize is " + std::to_string(options.block_size) +
                          ", expected 1..1024 tokens");
  }
  if (options.max_num_batched_tokens <= 0 || options.max_num_batched_tokens > (1 << 20)) {
    return InvalidRequest("maxNumBatchedTokens is " +
                          std::to_string(options.max_num_batched_tokens) +
                          ", expected 1..1048576 tokens");
  }
  if (options.activation_dtype == Dtype::kFloat16) {
    return InvalidRequest(
        "activationDtype float16 overflows in this family of models; use "
        "bfloat16 or float32");
  }
  return Status();
}

}  // namespace

Result<std::unique_ptr<Decoder>> Decoder::Load(const DecoderOptions& options,
                                               DeviceOpener open_device) {
  const auto start = std::chrono::steady_clock::now();
  const Status checked = CheckOptions(options);
  if (!checked.ok()) return checked;
  Result<Device> device = open_device(options.device);
  if (!device.ok()) return device.status();
  std::unique_ptr<Decoder> decoder(new Decoder(std::move(device.value())));
  const Status loaded = decoder->LoadWeights(options);
  if (!loaded.ok()) return loaded;
  const Status allocated = decoder->AllocateMemory(options);
  if (!allocated.ok()) return allocated;
  decoder->description_.load_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                      std::chrono::steady_clock::now() - start)
                                      .count();
  return decoder;
}

Status Decoder::LoadWeights(const DecoderOptions& options) {
  std::unique_ptr<const TensorSource> source;
  if (options.random.has_value()) {
    config_ = *options.random;
    const Status shape = CheckDecoderConfig(config_, "random decoder");
    if (!shape.ok()) return shape;
    source = std::make_unique<RandomWeights>(LargestMatrix(config_));
  } else {
    const Result<DecoderConfig> config = ReadDecoderConfig(options.directory);
    if (!config.ok()) return config.status();
    config_ = config.value();
    Result<Checkpoint> checkpoint = Checkpoint::Open(options.directory);
    if (!checkpoint.ok()) return checkpoint.status();
    source = std::make_unique<Checkpoint>(std::move(checkpoint.value()));
  }
  const Result<TensorView> embedding = source->Find(ModelPart::kText, "embed_tokens.weight",
                                                    {config_.vocab_size, config_.hidden_size});
  if (!embedding.ok()) return embedding.status();
  const Dtype stored = config_.dtype.value_or(embedding.value().dtype);
  const WeightFormat format = options.weight_format.value_or(PlainFormat(stored));

  Result<DecoderWeights> weights =
      LoadDecoderWeights(device_, *source, config_, {ModelPart::kText, format, options.cancelled});
  if (!weights.ok()) return weights.status();
  weights_ = std::move(weights.value());
  description_.config = config_;
  description_.weight_format = format;
  description_.weight_bytes = weights_.memory.bytes();
  return Status();
}

Status Decoder::AllocateMemory(const DecoderOptions& options) {
  activation_dtype_ = options.activation_dtype;
  KvCache::Shape shape = {0, options.block_size, activation_dtype_};
  const int64_t block_bytes = KvCache::BlockBytes(config_, shape);
  // A slot is a 32-bit number, which bounds the number of blocks.
  const int64_t max_blocks = std::numeric_limits<int32_t>::max() / options.block_size;
  shape.num_blocks = std::min(options.kv_cache_bytes / block_bytes, max_blocks);
  if (shape.num_blocks <= 0) {
    return InvalidRequest("kvCacheBytes is " + std::to_string(options.kv_cache_bytes) +
                          ", one block of " + std::to_string(options.block_size) +
                          " tokens takes " + std::to_string(block_bytes));
  }
  Result<KvCache> cache = KvCache::Allocate(device_, config_, shape);
  if (!cache.ok()) return cache.status();
  cache_ = std::move(cache.value());
  const Status largest = step_.LayOut(device_, config_, options.max_num_batched_tokens);
  if (!largest.ok()) return largest;
  rope_.emplace(config_, device_.context->threads());
  const Status inputs = inputs_.Allocate(device_, *rope_, options.max_num_batched_tokens);
  if (!inputs.ok()) return inputs;

  max_num_batched_tokens_ = options.max_num_batched_tokens;
  description_.num_blocks = shape.num_blocks;
  description_.block_size = shape.block_size;
  description_.kv_cache_bytes = cache_.bytes();
  return Status();
}

StepLimits Decoder::Limits(const KvCache& cache) const {
  return {.max_num_tokens = max_num_batched_tokens_,
          .max_positions = config_.max_position_embeddings,
          .vocab_size = config_.vocab_size,
          .hidden_size = config_.hidden_size,
          .num_blocks = cache.shape().num_blocks,
          .block_size = cache.shape().block_size};
}

}  // namespace autoglm
