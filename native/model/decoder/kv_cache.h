#ifndef AUTOGLM_MODEL_KV_CACHE_H_
#define AUTOGLM_MODEL_KV_CACHE_H_

#include <cstdint>

#include "base/status.h"
#include "device/memory.h"
#include "kernels/ops.h"
#include "model/decoder/decoder_config.h"

namespace autoglm {

// Keys and values of every layer, in blocks. The caller decides which block belongs to which
// sequence.
class KvCache {
 public:
  struct Shape {
    int64_t num_blocks;
    int64_t block_size;  // tokens
    KvDtype dtype;
  };

  static Result<KvCache> Allocate(const Device& device, const DecoderConfig& config,
                                  const Shape& shape);

  // Returns the number of bytes of one block in all layers together.
  static int64_t BlockBytes(const DecoderConfig& config, const Shape& shape);

  KvCacheView Layer(int64_t layer) const;
  const Shape& shape() const { return shape_; }
  size_t bytes() const { return memory_.bytes(); }

 private:
  // Returns the shape of a layer without its memory.
  static KvCacheView View(const DecoderConfig& config, const Shape& shape);

  Shape shape_ = {};
  KvCacheView view_ = {};
  DeviceBuffer memory_;  // [num_layers][keys, values][num_blocks] of KvCacheView
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_KV_CACHE_H_
