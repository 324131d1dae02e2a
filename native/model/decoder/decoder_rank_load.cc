#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "device/host_memory.h"
#include "kernels/group/device_group.h"
#include "model/decoder/decoder_rank.h"
#include "model/weights/memory_share.h"

namespace autoglm {

DecoderRank::DecoderRank(Device device, const RankLoad& load)
    : device_(std::move(device)),
      config_(load.source.config),
      shard_(load.shard),
      local_(ShardConfig(config_, shard_)),
      row_pool_(device_) {}

Status DecoderRank::Load(const DecoderOptions& options, const RankLoad& load,
                         DeviceOpener open_device, std::unique_ptr<DecoderRank>& rank) {
  Result<Device> device = open_device(options.devices[static_cast<size_t>(load.shard.rank)]);
  if (!device.ok()) return device.status();
  rank.reset(new DecoderRank(std::move(device.value()), load));
  if (load.group_rank != nullptr) {
    const Status joined = rank->JoinGroup(*load.group_rank);
    if (!joined.ok()) return joined;
  }
  const Status loaded = rank->LoadWeights(options, load);
  if (!loaded.ok()) return loaded;
  return rank->AllocateMemory(options);
}

Status DecoderRank::JoinGroup(const GroupRank& place) {
  Result<GroupPath> path = device_.ops->join_group(*device_.context, place);
  if (!path.ok()) return path.status();
  description_.group_path = std::move(path.value().in_words);
  meets_on_device_ = path.value().is_on_devices;
  return Status();
}

Status DecoderRank::LoadWeights(const DecoderOptions& options, const RankLoad& load) {
  const WeightFormat& format = load.source.format;
  const DecoderWeightSource from = {
      .tensors = *load.source.tensors,
      .config = config_,
      .shard = shard_,
      .loading = {.part = ModelPart::kText,
                  .format = format,
                  .linear_format = LinearFormat(format, options.quantize, options.activation_dtype),
                  .quantization = load.source.quantization,
                  .cancelled = options.cancelled,
                  .progress = options.progress},
      .quantizes_head = options.quantize.quantizes_head};
  const std::optional<KvCacheShare>& share = options.kv_cache_share;
  const int64_t cache_bytes = share.has_value() ? 0 : options.kv_cache_bytes / shard_.num_ranks;
  WeightLoad weight_load = {
      .cache = {},
      .kv_cache_bytes = static_cast<size_t>(cache_bytes),
      .memory_share = share.has_value() ? std::optional(share->of_memory) : std::nullopt,
      .memory_check = load.memory_check,
      .cancelled = options.cancelled,
      .progress = options.progress};
  if (!options.random.has_value()) {
    const std::string rank = "rank " + std::to_string(shard_.rank) + " of " +
                             std::to_string(shard_.num_ranks);
    weight_load.cache = {.folder = options.weights_cache,
                         .model = options.directory,
                         .settings = "decoder, " + LoadingName(from.loading) +
                                     (from.quantizes_head ? ", head too" : ", head not") +
                                     (shard_.IsWhole() ? "" : ", " + rank),
                         .version = load.source.version};
  }
  Result<LoadedWeights> loaded =
      autoglm::LoadWeights(device_, weight_load, [&](WeightMemory& memory) {
        Result<DecoderWeights> weights = LoadDecoderWeights(device_, from, memory);
        if (weights.ok()) weights_ = std::move(weights.value());
        return weights.status();
      });
  if (!loaded.ok()) return loaded.status();
  weight_memory_ = std::move(loaded.value().memory);
  description_.weights_cache = std::move(loaded.value().cache);
  description_.config = config_;
  description_.weight_format = format;
  description_.linear_format = weights_.layers[0].down.weight.shape.format;
  description_.head_format = weights_.head.weight.shape.format;
  description_.weight_bytes = weight_memory_->bytes();
  return Status();
}

Status DecoderRank::AllocateMemory(const DecoderOptions& options) {
  activation_dtype_ = options.activation_dtype;
  max_num_batched_tokens_ = options.max_num_batched_tokens;
  const Status largest = step_.LayOut(device_, config_, shard_, options.max_num_batched_tokens);
  if (!largest.ok()) return largest;
  ReachPositions(options.max_num_batched_tokens);
  const Status inputs = inputs_.Allocate(device_, *rope_, options.max_num_batched_tokens);
  if (!inputs.ok()) return inputs;

  const Status pooled = row_pool_.Allocate(options.row_pool_bytes);
  if (!pooled.ok()) return pooled;
  description_.row_pool_bytes = row_pool_.bytes();
  description_.reachable_devices = row_pool_.ReachableDevices();

  KvCache::Shape shape = {.num_blocks = 0,
                          .block_size = options.block_size,
                          .dtype = options.kv_dtype.value_or(KvDtypeOf(activation_dtype_))};
  if (device_.ops->own_memory(*device_.context).has_value()) {
    const Status ran = RunLargestStep(shape);
    if (!ran.ok()) return ran;
  }
  const Result<int64_t> num_blocks = options.kv_cache_share.has_value()
                                         ? BlocksOfShare(options, shape)
                                         : BlocksOfBytes(options.kv_cache_bytes, shape);
  if (!num_blocks.ok()) return num_blocks.status();
  // A slot is a 32-bit number, which bounds the number of blocks.
  const int64_t max_blocks = std::numeric_limits<int32_t>::max() / options.block_size;
  shape.num_blocks = std::min(num_blocks.value(), max_blocks);
  Result<KvCache> cache = KvCache::Allocate(device_, local_, shape);
  if (!cache.ok()) return cache.status();
  cache_ = std::move(cache.value());
  // No sequence is longer than the cache or a step, so that later positions never come.
  ReachPositions(std::max(shape.num_blocks * shape.block_size, options.max_num_batched_tokens));

  if (CapturesGraphs(options)) graphs_.emplace(device_);

  description_.num_blocks = shape.num_blocks;
  description_.block_size = shape.block_size;
  description_.kv_dtype = shape.dtype;
  description_.kv_cache_bytes = cache_.bytes();
  return Status();
}

void DecoderRank::ReachPositions(int64_t num_positions) {
  rope_.emplace(config_, std::min(config_.max_position_embeddings, num_positions),
                device_.context->threads());
}

Result<int64_t> DecoderRank::BlocksOfBytes(int64_t bytes, const KvCache::Shape& shape) const {
  const int64_t block_bytes = shard_.num_ranks * KvCache::BlockBytes(local_, shape);
  if (bytes >= block_bytes) return bytes / block_bytes;
  return InvalidRequest("kvCacheBytes is " + std::to_string(bytes) + ", one block of " +
                        std::to_string(shape.block_size) + " tokens takes " +
                        std::to_string(block_bytes));
}

bool DecoderRank::CapturesGraphs(const DecoderOptions& options) const {
  return device_.ops->capture != nullptr && !options.enforce_eager &&
         meets_on_device_;
}

Result<int64_t> DecoderRank::BlocksOfShare(const DecoderOptions& options,
                                           const KvCache::Shape& shape) const {
  const KvCacheShare& share = *options.kv_cache_share;
  Result<FreeMemory> free = FindFreeMemory(device_, share.of_memory);
  if (!free.ok()) return free.status();
  if (CapturesGraphs(options)) {
    free.value().bytes -= std::min(free.value().bytes, StepGraphs::kMaxBytes);
  }
  const int64_t block_bytes = KvCache::BlockBytes(local_, shape);
  const int64_t min_blocks = (share.min_tokens + shape.block_size - 1) / shape.block_size;
  const int64_t num_blocks = static_cast<int64_t>(free.value().bytes) / block_bytes;
  const GroupRank* const place = device_.context->group_rank;
  if (num_blocks >= std::max<int64_t>(min_blocks, 1)) {
    return place == nullptr ? num_blocks : place->group->Least(place->rank, num_blocks);
  }
  return OutOfMemory(
      "no room for a KV cache beside weights of " + GibText(description_.weight_bytes) +
      ": one of " + std::to_string(share.min_tokens) + " tokens takes " +
      GibText(static_cast<uint64_t>(min_blocks * block_bytes)) + ", and there are " +
      GibText(free.value().bytes) + "; " + free.value().in_words);
}

Status DecoderRank::RunLargestStep(KvCache::Shape shape) {
  const StepPlan plan =
      LargestPlan({.num_tokens = max_num_batched_tokens_,
                   .num_outputs = kMaxLogitRows,
                   .num_positions = rope_->num_positions(),
                   .longest = config_.max_position_embeddings,
                   .block_size = shape.block_size,
                   .vocab_size = config_.vocab_size});
  shape.num_blocks = *std::max_element(plan.block_tables.begin(), plan.block_tables.end()) + 1;
  Result<KvCache> cache = KvCache::Allocate(device_, local_, shape);
  if (!cache.ok()) return cache.status();
  cache_ = std::move(cache.value());
  // Arrays that grow give memory back, for which a device may wait for all that runs; and weights of
  // some ranks are loaded long before those of others, while ranks in a step do not wait so long for
  // each other. So a rank has its arrays before it meets the others.
  const Status begun = Begin(plan);
  if (!begun.ok()) return begun;
  const Status written = logit_rows_.Write(device_, plan.output_tokens);
  if (!written.ok()) return written;
  const GroupRank* const place = device_.context->group_rank;
  if (place != nullptr) place->group->Least(place->rank, 0);
  StepResult result;
  const Status ran = Execute(plan, result);
  cache_ = KvCache();
  if (!ran.ok()) return ran;
  // What these logits are says nothing of the model: its tokens are all the same.
  for (const ChosenToken& output : result.outputs) {
    if (output.status.reason() == Reason::kOutOfMemory) return output.status;
  }
  return Status();
}

StepLimits DecoderRank::Limits(const KvCache& cache) const {
  return {.max_num_tokens = max_num_batched_tokens_,
          .max_positions = rope_->num_positions(),
          .vocab_size = config_.vocab_size,
          .hidden_size = config_.hidden_size,
          .num_blocks = cache.shape().num_blocks,
          .block_size = cache.shape().block_size,
          .row_pool_bytes = row_pool_.bytes()};
}

}  // namespace autoglm
