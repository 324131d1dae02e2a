#ifndef AUTOGLM_MODEL_DECODER_RANK_H_
#define AUTOGLM_MODEL_DECODER_RANK_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/kv_dtype.h"
#include "base/status.h"
#include "kernels/ops.h"
#include "model/decoder/decoder_activations.h"
#include "model/decoder/decoder_config.h"
#include "model/decoder/decoder_shard.h"
#include "model/decoder/decoder_source.h"
#include "model/decoder/decoder_weights.h"
#include "model/decoder/kv_cache.h"
#include "model/decoder/rope_table.h"
#include "model/decoder/row_pool.h"
#include "model/decoder/step_inputs.h"
#include "model/decoder/step_plan.h"
#include "model/graphs/step_bucket.h"
#include "model/graphs/step_graphs.h"
#include "model/weights/weight_cache.h"

namespace autoglm {

struct DecoderDescription {
  DecoderConfig config;
  WeightFormat weight_format;  // of the embedding
  WeightFormat linear_format;  // of the layers' products
  WeightFormat head_format;
  size_t weight_bytes;
  WeightCacheReport weights_cache;
  KvDtype kv_dtype;
  size_t kv_cache_bytes;
  int64_t num_blocks;
  int64_t block_size;
  size_t row_pool_bytes;  // of each device
  std::vector<std::string> reachable_devices;  // by all ranks, as RowPool's
  std::string group_path;  // how values of the ranks meet, in words; empty: there is one rank
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

// What a rank of a group is loaded with beside the options.
struct RankLoad {
  const DecoderSource& source;
  DecoderShard shard;
  const GroupRank* group_rank;  // null: the device is alone
  MemoryCheck* memory_check;    // of all ranks
};

// What one rank of a group computes of a GLM-4 decoder: its shard of every layer. Of a device alone
// that is all. All memory is allocated at load. The thread that loads the rank opens the device, and
// only this thread uses both. All ranks run the same steps, because they meet in sums.
class DecoderRank {
 public:
  // Sets `rank` as soon as its device is open. If the load fails, it must outlive what other ranks do:
  // they may use its memory until Finish was called on all.
  static Status Load(const DecoderOptions& options, const RankLoad& load, DeviceOpener open_device,
                     std::unique_ptr<DecoderRank>& rank);

  // Runs one step, which asks for no tokens of another. Rank 0 alone chooses tokens, and fills
  // `result`. A refused plan leaves the cache as it was.
  Status Execute(const StepPlan& plan, StepResult& result);

  // Memory of the device that holds rows of media; steps read it.
  RowPool& row_pool() { return row_pool_; }

  // Waits until the device has done all that it was given. In a broken group, it also gives up its
  // graphs: the rank that failed may not have what the others captured.
  void Finish();

  // Runs a whole prompt in a cache of its own. Rank 0 alone fills `trace`.
  Status Trace(const TraceRequest& request, DecoderTrace& trace);

  const DecoderDescription& description() const { return description_; }

 private:
  DecoderRank(Device device, const RankLoad& load);

  // Range of outputs begin .. begin + count - 1 of a plan, at most kMaxLogitRows.
  struct OutputRange {
    size_t begin;
    size_t count;
  };

  Status JoinGroup(const GroupRank& place);
  Status LoadWeights(const DecoderOptions& options, const RankLoad& load);
  Status AllocateMemory(const DecoderOptions& options);
  // Returns true if the device shares graphs among steps: in a group, all devices do or none does.
  bool CapturesGraphs(const DecoderOptions& options) const;
  // Makes the table of angles long enough for so many positions, or as many as the model has.
  void ReachPositions(int64_t num_positions);
  // Return the number of blocks of a KV cache: of so many bytes on all ranks, or of what a share of
  // the memory leaves beside all that the largest step uses, on the rank where that is least.
  Result<int64_t> BlocksOfBytes(int64_t bytes, const KvCache::Shape& shape) const;
  Result<int64_t> BlocksOfShare(const DecoderOptions& options, const KvCache::Shape& shape) const;
  // Runs the largest step in a cache of its own, so that a device with memory of its own has taken all
  // that a step needs.
  Status RunLargestStep(KvCache::Shape shape);
  StepLimits Limits(const KvCache& cache) const;

  // Copies a plan that was checked to the device and lays out its activations.
  Status Begin(const StepPlan& plan);
  // Writes the embeddings of the plan to the residual stream.
  void Embed(const StepPlan& plan);
  // Computes the last hidden states of the plan, padded to a bucket where steps share graphs.
  Status RunLayers(const StepPlan& plan);
  Status RunBucket(const StepPlan& plan, const StepBucket& bucket);
  void RunLayer(int64_t layer, const KvCache& cache);
  void Attend(const DecoderLayerWeights& weights, const KvCacheView& cache);
  void RunMlp(const DecoderLayerWeights& weights);
  bool IsFirst() const { return shard_.rank == 0; }
  // Computes the logits [rows, vocab_size] of the given rows of the residual stream, through norm
  // and head; rank 0 alone gets them.
  Result<MatrixView> ComputeLogits(std::span<const int32_t> rows);
  // Samples or scores the outputs on rank 0. Refuses if the whole step must fail; a failure of one
  // output alone is in that output's result.
  Status SampleOutputs(const StepPlan& plan, OutputRange range, StepResult& result);
  // Returns the sum [hidden_size] of rows of the last hidden state, in the order of the rows.
  std::vector<double> PoolRows(const PooledRows& pooled);
  std::vector<float> CopyToHost(const MatrixView& x);  // dense
  void Multiply(const MatrixView& x, const Linear& linear, const MatrixView& y);

  Device device_;
  const DecoderConfig config_;  // of the whole decoder
  const DecoderShard shard_;
  const DecoderConfig local_;  // of the shard
  std::unique_ptr<WeightMemory> weight_memory_;
  DecoderWeights weights_;  // in weight_memory_
  bool meets_on_device_ = true;  // no sum over ranks needs the host
  Dtype activation_dtype_ = Dtype::kFloat32;
  RowPool row_pool_;
  KvCache cache_;
  std::optional<RopeTable> rope_;
  int64_t max_num_batched_tokens_ = 0;
  StepInputs inputs_;
  StepArray logit_rows_;
  DecoderActivations step_;  // of the step that runs
  std::optional<StepGraphs> graphs_;  // over cache_; none: operations run as they are called
  StepPlan padded_;                   // to a bucket
  DecoderDescription description_ = {};
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_DECODER_RANK_H_
