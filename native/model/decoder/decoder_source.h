#ifndef AUTOGLM_MODEL_DECODER_SOURCE_H_
#define AUTOGLM_MODEL_DECODER_SOURCE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/kv_dtype.h"
#include "base/status.h"
#include "device/device_id.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/quantize_options.h"
#include "model/decoder/decoder_config.h"
#include "model/weights/weight_loader.h"

namespace autoglm {

// A KV cache that gets what is left of a share of each device's own memory, once the weights are there
// and the largest step has run.
struct KvCacheShare {
  double of_memory = 0;    // in (0, 1]: what the whole model may take
  int64_t min_tokens = 1;  // fewer are refused
};

struct DecoderOptions {
  std::string directory;                // of the model, if `random` is not given
  std::optional<DecoderConfig> random;  // a shape for random weights
  std::vector<DeviceId> devices = {{}};  // the ranks of a group; one: it computes alone
  std::optional<WeightFormat> weight_format;  // none: the checkpoint's
  QuantizeOptions quantize;
  Dtype activation_dtype = Dtype::kFloat32;
  std::optional<KvDtype> kv_dtype;  // none: that of the activations
  int64_t block_size = 16;  // tokens
  int64_t kv_cache_bytes = 0;  // on all devices together, if `kv_cache_share` is not given
  std::optional<KvCacheShare> kv_cache_share;
  int64_t max_num_batched_tokens = 0;
  size_t row_pool_bytes = 0;  // of each device, which then has memory of its own; 0: no row pool
  bool enforce_eager = false;  // no graphs: kernels of a GPU are launched one by one in every step
  std::string weights_cache;  // folder of packed weights; "": none
  // Set to cancel loading, by others or by a rank that fails; null: cannot be.
  std::atomic<bool>* cancelled = nullptr;
  LoadProgress* progress = nullptr;  // null: no one looks
};

// What a decoder is loaded from. The ranks of a group share it, which read it at once.
struct DecoderSource {
  DecoderConfig config;
  std::unique_ptr<const TensorSource> tensors;
  QuantizationConfig quantization;
  WeightFormat format;  // of tables, and of matrices that are not quantized
  std::string version;  // of the checkpoint's content; "" of random weights

  static Result<DecoderSource> Open(const DecoderOptions& options);
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_DECODER_SOURCE_H_
