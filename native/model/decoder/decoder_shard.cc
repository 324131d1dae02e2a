#include "model/decoder/decoder_shard.h"

#include <algorithm>
#include <string>

namespace autoglm {
namespace {

// The largest group of consecutive inputs that share a scale at load; a part of the MLP that ends at
// such a border has the integers that one device would have.
constexpr int64_t kLargestUnit = 128;

// Divides `total` into consecutive slices of whole units, the first ones the larger.
Slice Divide(int64_t total, int64_t unit, const DecoderShard& shard) {
  const int64_t num_units = total / unit;
  const int64_t least = num_units / shard.num_ranks;
  const int64_t num_larger = num_units % shard.num_ranks;
  const int64_t first = shard.rank * least + std::min<int64_t>(shard.rank, num_larger);
  const int64_t count = least + (shard.rank < num_larger ? 1 : 0);
  return {first * unit, count * unit};
}

// Returns the largest unit of the MLP's inner width of which every rank gets one.
int64_t IntermediateUnit(int64_t intermediate_size, int num_ranks) {
  int64_t unit = kLargestUnit;
  while (unit > 1 && (intermediate_size % unit != 0 || intermediate_size / unit < num_ranks)) {
    unit /= 2;
  }
  return unit;
}

// Returns why so many ranks cannot share a decoder; "" if they can.
std::string WhyNot(const DecoderConfig& config, int num_ranks) {
  const std::string ranks = std::to_string(num_ranks);
  if (config.num_heads % num_ranks != 0) {
    return std::to_string(config.num_heads) + " attention heads cannot be divided by " + ranks;
  }
  if (config.num_kv_heads % num_ranks != 0 && num_ranks % config.num_kv_heads != 0) {
    return std::to_string(config.num_kv_heads) + " key-value heads can neither be divided by " +
           ranks + " nor repeated to be as many";
  }
  if (config.intermediate_size < num_ranks) {
    return "the MLP's " + std::to_string(config.intermediate_size) + " values are fewer than " +
           ranks;
  }
  if (config.vocab_size < num_ranks) {
    return "the vocabulary's " + std::to_string(config.vocab_size) + " rows are fewer than " + ranks;
  }
  return "";
}

std::string WorkingSizes(const DecoderConfig& config) {
  std::string sizes = "1";
  for (int size = 2; size <= config.num_heads; ++size) {
    if (WhyNot(config, size).empty()) sizes += ", " + std::to_string(size);
  }
  return sizes;
}

}  // namespace

Result<DecoderShard> MakeShard(const DecoderConfig& config, int rank, int num_ranks) {
  const std::string why_not = WhyNot(config, num_ranks);
  if (!why_not.empty()) {
    return InvalidRequest("key \"tensor-parallel-size\": " + std::to_string(num_ranks) +
                          " devices cannot share this model: " + why_not + "; it can be " +
                          WorkingSizes(config));
  }
  DecoderShard shard = {.rank = rank, .num_ranks = num_ranks};
  shard.heads = Divide(config.num_heads, 1, shard);
  shard.kv_heads = config.num_kv_heads >= num_ranks
                       ? Divide(config.num_kv_heads, 1, shard)
                       : Slice{rank * config.num_kv_heads / num_ranks, 1};
  shard.intermediate = Divide(config.intermediate_size,
                              IntermediateUnit(config.intermediate_size, num_ranks), shard);
  shard.vocabulary = Divide(config.vocab_size, 1, shard);
  return shard;
}

DecoderConfig ShardConfig(const DecoderConfig& config, const DecoderShard& shard) {
  DecoderConfig local = config;
  local.num_heads = shard.heads.count;
  local.num_kv_heads = shard.kv_heads.count;
  local.intermediate_size = shard.intermediate.count;
  local.vocab_size = shard.vocabulary.count;
  return local;
}

}  // namespace autoglm
