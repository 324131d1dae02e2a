#include "model/decoder/decoder_rank.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "kernels/group/device_group.h"
#include "model/layers/layer_ops.h"

namespace autoglm {

void DecoderRank::Finish() {
  device_.ops->finish(*device_.context);
  const GroupRank* const place = device_.context->group_rank;
  if (place != nullptr && place->group->is_broken() && graphs_.has_value()) graphs_->Clear();
}

void DecoderRank::Multiply(const MatrixView& x, const Linear& linear, const MatrixView& y) {
  LayerOps(device_, activation_dtype_).Multiply(x, linear, y);
}

// Computes x = x + norm(o(attention(rope(qkv(norm(x)))))).
void DecoderRank::Attend(const DecoderLayerWeights& weights, const KvCacheView& cache) {
  const Ops& ops = *device_.ops;
  OpsContext& context = *device_.context;
  const float epsilon = config_.rms_norm_eps;
  const int64_t q_columns = local_.num_heads * local_.head_dim;
  const int64_t kv_columns = local_.num_kv_heads * local_.head_dim;
  const MatrixView q = step_.qkv.Columns(0, q_columns);
  const MatrixView k = step_.qkv.Columns(q_columns, kv_columns);
  const MatrixView v = step_.qkv.Columns(q_columns + kv_columns, kv_columns);
  const MatrixView qk = step_.qkv.Columns(0, q_columns + kv_columns);

  ops.rms_norm(context, {step_.residual, weights.input_norm, nullptr, epsilon, step_.normed});
  Multiply(step_.normed, weights.qkv, step_.qkv);
  ops.rope(context, {.pairs = RopePairs::kInterleaved,
                     .x = qk,
                     .num_heads = local_.num_heads + local_.num_kv_heads,
                     .num_pairs = config_.num_rope_pairs,
                     .cos = inputs_.cos(),
                     .sin = inputs_.sin()});
  ops.store_kv(context, {k, v, inputs_.slots(), cache});
  ops.paged_attention(context, {.q = q,
                                .num_heads = local_.num_heads,
                                .cache = cache,
                                .num_sequences = inputs_.num_sequences(),
                                .query_starts = inputs_.query_starts(),
                                .context_lens = inputs_.context_lens(),
                                .block_tables = inputs_.block_tables(),
                                .max_blocks_per_sequence = inputs_.max_blocks_per_sequence(),
                                .scale = 1.0f / std::sqrt(static_cast<float>(config_.head_dim)),
                                .out = step_.attention});
  Multiply(step_.attention, weights.o, step_.projected);
  ops.all_reduce(context, {step_.projected});
  ops.rms_norm_residual(
      context, {step_.projected, weights.post_attention_norm, nullptr, epsilon, step_.residual});
}

// Computes x = x + norm(down(silu(gate(norm(x))) * up(norm(x)))).
void DecoderRank::RunMlp(const DecoderLayerWeights& weights) {
  const Ops& ops = *device_.ops;
  OpsContext& context = *device_.context;
  const float epsilon = config_.rms_norm_eps;

  ops.rms_norm(context, {step_.residual, weights.pre_mlp_norm, nullptr, epsilon, step_.normed});
  LayerOps(device_, activation_dtype_)
      .ApplyGatedMlp(step_.normed,
                     {.gate_up = weights.gate_up,
                      .down = weights.down,
                      .gate_up_rows = step_.gate_up,
                      .gated = step_.mlp},
                     step_.projected);
  ops.all_reduce(context, {step_.projected});
  ops.rms_norm_residual(context,
                        {step_.projected, weights.post_mlp_norm, nullptr, epsilon, step_.residual});
}

void DecoderRank::RunLayer(int64_t layer, const KvCache& cache) {
  const DecoderLayerWeights& weights = weights_.layers[static_cast<size_t>(layer)];
  Attend(weights, cache.Layer(layer));
  RunMlp(weights);
}

Status DecoderRank::Begin(const StepPlan& plan) {
  const Status written = inputs_.Write(device_, *rope_, shard_, plan);
  if (!written.ok()) return written;
  return step_.LayOut(device_, config_, shard_, plan.num_tokens());
}

void DecoderRank::Embed(const StepPlan& plan) {
  device_.ops->gather(*device_.context, {.table = weights_.embedding.rows,
                                         .dtype = weights_.embedding.dtype,
                                         .num_rows = weights_.embedding.num_rows,
                                         .rows = inputs_.token_ids(),
                                         .y = step_.residual});
  // A token's embedding is on one rank, and zeros are on the others.
  device_.ops->all_reduce(*device_.context, {step_.residual});
  for (const MediaRows& media : plan.media_rows) {
    const MatrixView rows = step_.residual.Rows(media.first_token, media.num_rows);
    if (media.pool_offset.has_value()) {
      row_pool_.Read(*media.pool_offset, rows);
      continue;
    }
    device_.ops->upload(*device_.context,
                        {.source = {media.rows, media.dtype, {rows.rows, rows.columns}},
                         .dtype = Dtype::kFloat32,
                         .target = rows.data});
  }
}

Status DecoderRank::RunBucket(const StepPlan& plan, const StepBucket& bucket) {
  PadStep(plan, bucket, padded_);
  const void* const place = inputs_.memory();
  const Status begun = Begin(padded_);
  if (!begun.ok()) return begun;
  if (inputs_.memory() != place) graphs_->Clear();
  graphs_->Run(bucket, [this] {
    Embed(padded_);
    for (int64_t layer = 0; layer < config_.num_layers; ++layer) RunLayer(layer, cache_);
  });
  return Status();
}

Status DecoderRank::RunLayers(const StepPlan& plan) {
  if (graphs_.has_value()) {
    const std::optional<StepBucket> bucket =
        FindStepBucket(plan, {.max_num_tokens = max_num_batched_tokens_,
                              .longest = config_.max_position_embeddings,
                              .block_size = cache_.shape().block_size});
    if (bucket.has_value()) return RunBucket(plan, *bucket);
  }
  const Status begun = Begin(plan);
  if (!begun.ok()) return begun;
  Embed(plan);
  for (int64_t layer = 0; layer < config_.num_layers; ++layer) RunLayer(layer, cache_);
  return Status();
}

Result<MatrixView> DecoderRank::ComputeLogits(std::span<const int32_t> rows) {
  const Status written = logit_rows_.Write(device_, rows);
  if (!written.ok()) return written;
  const int64_t num_rows = static_cast<int64_t>(rows.size());
  const MatrixView last = step_.last.Rows(0, num_rows);
  const MatrixView part = step_.logits_part.Rows(0, num_rows);
  device_.ops->gather(*device_.context, {.table = step_.residual.data,
                                         .dtype = Dtype::kFloat32,
                                         .num_rows = step_.residual.rows,
                                         .rows = logit_rows_.data(),
                                         .y = last});
  device_.ops->rms_norm(*device_.context,
                        {last, weights_.final_norm, nullptr, config_.rms_norm_eps, last});
  Multiply(last, weights_.head, part);
  if (shard_.IsWhole()) return part;
  const MatrixView whole = IsFirst() ? step_.logits.Rows(0, num_rows)
                                     : DenseMatrix(nullptr, num_rows, config_.vocab_size);
  device_.ops->all_gather(*device_.context, {.part = part, .whole = whole});
  return whole;
}

Status DecoderRank::SampleOutputs(const StepPlan& plan, OutputRange range, StepResult& result) {
  const std::span<const int32_t> tokens = plan.output_tokens;
  const std::span<const TokenChoice> choices = plan.outputs;
  const std::span<ChosenToken> chosen = result.outputs;
  const Result<MatrixView> logits = ComputeLogits(tokens.subspan(range.begin, range.count));
  if (!logits.ok()) return logits.status();
  if (!IsFirst()) return Status();
  device_.ops->sample(*device_.context, {.logits = logits.value(),
                                         .choices = choices.subspan(range.begin, range.count),
                                         .chosen = chosen.subspan(range.begin, range.count)});
  return Status();
}

// The sum grows row by row, so that it has the same bits however a prompt is cut into steps.
std::vector<double> DecoderRank::PoolRows(const PooledRows& pooled) {
  const size_t width = static_cast<size_t>(config_.hidden_size);
  std::vector<double> sum = pooled.sum;
  sum.resize(width);
  for (int64_t begin = 0; begin < pooled.num_rows; begin += kMaxLogitRows) {
    const int64_t count = std::min(kMaxLogitRows, pooled.num_rows - begin);
    const MatrixView rows = step_.residual.Rows(pooled.first_token + begin, count);
    const MatrixView normed = step_.last.Rows(0, count);
    device_.ops->rms_norm(*device_.context,
                          {rows, weights_.final_norm, nullptr, config_.rms_norm_eps, normed});
    const float* values = device_.ops->host_rows(*device_.context, normed);
    for (int64_t row = 0; row < count; ++row, values += width) {
      for (size_t i = 0; i < width; ++i) sum[i] += values[i];
    }
  }
  return sum;
}

Status DecoderRank::Execute(const StepPlan& plan, StepResult& result) {
  const auto start = std::chrono::steady_clock::now();
  const Status checked = CheckStepPlan(plan, Limits(cache_));
  if (!checked.ok()) return checked;
  const Status ran = RunLayers(plan);
  if (!ran.ok()) return ran;

  result = {};
  result.outputs.resize(plan.outputs.size());
  for (size_t begin = 0; begin < plan.outputs.size(); begin += kMaxLogitRows) {
    const size_t count = std::min<size_t>(kMaxLogitRows, plan.outputs.size() - begin);
    const Status status = SampleOutputs(plan, {.begin = begin, .count = count}, result);
    if (!status.ok()) return status;
  }
  if (IsFirst()) {
    for (const PooledRows& pooled : plan.pooled_rows) {
      result.pooled_sums.push_back(PoolRows(pooled));
    }
  }
  result.forward_us = std::chrono::duration_cast<std::chrono::microseconds>(
                          std::chrono::steady_clock::now() - start)
                          .count();
  return Status();
}

}  // namespace autoglm
