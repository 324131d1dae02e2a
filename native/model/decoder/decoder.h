#ifndef AUTOGLM_MODEL_DECODER_H_
#define AUTOGLM_MODEL_DECODER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/ops.h"
#include "model/decoder/decoder_activations.h"
#include "model/decoder/decoder_config.h"
#include "model/decoder/decoder_weights.h"
#include "model/decoder/kv_cache.h"
#include "model/decoder/rope_table.h"
#include "model/decoder/step_inputs.h"
#include "model/decoder/step_plan.h"

namespace autoglm {

struct DecoderOptions {
  std::string directory;                // of the model, if `random` is not given
  std::optional<DecoderConfig> random;  // a shape for random weights
  DeviceId device;
  std::optional<WeightFormat> weight_format;  // none: the checkpoint's
  Dtype activation_dtype = Dtype::kFloat32;
  int64_t block_size = 16;  // tokens
  int64_t kv_cache_bytes = 0;
  int64_t max_num_batched_tokens = 0;
  const std::atomic<bool>* cancelled = nullptr;  // set to cancel loading; null: cannot be
};

struct DecoderDescription {
  DecoderConfig config;
  WeightFormat weight_format;
  size_t weight_bytes;
  size_t kv_cache_bytes;
  int64_t num_blocks;
  int64_t block_size;
  int64_t load_ms;
};

// Hidden states and logits of a prompt, for comparison with a reference.
struct DecoderTrace {
  // [num_layers + 1][num_tokens, hidden_size]: after the embedding and after each layer, the last
  // one after the final norm.
  std::vector<std::vector<float>> hidden;
  std::vector<float> logits;  // [num_tokens, vocab_size]
};

struct TraceRequest {
  std::vector<int32_t> token_ids;  // [num_tokens]
  std::vector<int32_t> positions;  // [3, num_tokens]
  std::vector<MediaRows> media_rows;
};

// A GLM-4 decoder on a device. All memory is allocated at load. The thread that loads the decoder
// opens the device, and only this thread uses both.
class Decoder {
 public:
  static Result<std::unique_ptr<Decoder>> Load(const DecoderOptions& options,
                                               DeviceOpener open_device);

  // Runs one step. A refused plan leaves the cache as it was.
  Status Execute(const StepPlan& plan, StepResult& result);

  // Runs a whole prompt in a cache of its own.
  Status Trace(const TraceRequest& request, DecoderTrace& trace);

  const DecoderDescription& description() const { return description_; }

 private:
  explicit Decoder(Device device) : device_(std::move(device)) {}

  // Range of outputs begin .. begin + count - 1 of a plan, at most kMaxLogitRows.
  struct OutputRange {
    size_t begin;
    size_t count;
  };

  Status LoadWeights(const DecoderOptions& options);
  Status AllocateMemory(const DecoderOptions& options);
  StepLimits Limits(const KvCache& cache) const;

  // Copies the plan to the device and writes its embeddings to the residual stream.
  Status Begin(const StepPlan& plan, const KvCache& cache);
  void RunLayer(int64_t layer, const KvCache& cache);
  void Attend(const DecoderLayerWeights& weights, const KvCacheView& cache);
  void RunMlp(const DecoderLayerWeights& weights);
  // Computes the logits [rows, vocab_size] of the given rows of the residual stream, through norm
  // and head.
  Result<MatrixView> ComputeLogits(std::span<const int32_t> rows);
  // Samples or scores the outputs. Refuses if the whole step must fail; a failure of one output
  // alone is in that output's result.
  Status SampleOutputs(const StepPlan& plan, OutputRange range, StepResult& result);
  std::vector<float> CopyToHost(const MatrixView& x);  // dense
  void Multiply(const MatrixView& x, const Linear& linear, const MatrixView& y);

  Device device_;
  DecoderConfig config_;
  DecoderWeights weights_;
  Dtype activation_dtype_ = Dtype::kFloat32;
  KvCache cache_;
  std::optional<RopeTable> rope_;
  int64_t max_num_batched_tokens_ = 0;
  StepInputs inputs_;
  StepArray logit_rows_;
  DecoderActivations step_;  // of the step that runs
  DecoderDescription description_ = {};
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_DECODER_H_
