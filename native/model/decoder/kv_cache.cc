#include "model/decoder/kv_cache.h"

#include <utility>

namespace autoglm {

int64_t KvCache::BlockBytes(const DecoderConfig& config, const Shape& shape) {
  return 2 * config.num_layers * config.num_kv_heads * config.head_dim * shape.block_size *
         static_cast<int64_t>(DtypeBytes(shape.dtype));
}

Result<KvCache> KvCache::Allocate(const Device& device, const DecoderConfig& config,
                                  const Shape& shape) {
  const int64_t bytes = shape.num_blocks * BlockBytes(config, shape);
  Result<DeviceBuffer> memory = device.ops->allocate(*device.context, static_cast<size_t>(bytes));
  if (!memory.ok()) return memory.status();
  KvCache cache;
  cache.shape_ = shape;
  cache.num_kv_heads_ = config.num_kv_heads;
  cache.head_dim_ = config.head_dim;
  cache.memory_ = std::move(memory.value());
  return cache;
}

KvCacheView KvCache::Layer(int64_t layer) const {
  const int64_t plane_bytes = shape_.num_blocks * num_kv_heads_ * shape_.block_size * head_dim_ *
                              static_cast<int64_t>(DtypeBytes(shape_.dtype));
  char* keys = memory_.as<char>() + 2 * layer * plane_bytes;
  return {keys, keys + plane_bytes, shape_.dtype, num_kv_heads_, shape_.block_size, head_dim_};
}

}  // namespace autoglm
