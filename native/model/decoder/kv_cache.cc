#include "model/decoder/kv_cache.h"

#include <utility>

namespace autoglm {

int64_t KvCache::BlockBytes(const DecoderConfig& config, const Shape& shape) {
  return 2 * config.num_layers * View(config, shape).BlockBytes();
}

KvCacheView KvCache::View(const DecoderConfig& config, const Shape& shape) {
  return {.keys = nullptr,
          .values = nullptr,
          .dtype = shape.dtype,
          .num_kv_heads = config.num_kv_heads,
          .block_size = shape.block_size,
          .head_dim = config.head_dim};
}

Result<KvCache> KvCache::Allocate(const Device& device, const DecoderConfig& config,
                                  const Shape& shape) {
  const int64_t bytes = shape.num_blocks * BlockBytes(config, shape);
  Result<DeviceBuffer> memory = device.ops->allocate(*device.context, static_cast<size_t>(bytes));
  if (!memory.ok()) return memory.status();
  KvCache cache;
  cache.shape_ = shape;
  cache.view_ = View(config, shape);
  cache.memory_ = std::move(memory.value());
  return cache;
}

KvCacheView KvCache::Layer(int64_t layer) const {
  const int64_t plane_bytes = shape_.num_blocks * view_.BlockBytes();
  KvCacheView view = view_;
  view.keys = memory_.as<char>() + 2 * layer * plane_bytes;
  view.values = static_cast<char*>(view.keys) + plane_bytes;
  return view;
}

}  // namespace autoglm
