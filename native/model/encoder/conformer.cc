#include "model/encoder/conformer.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "model/encoder/relative_positions.h"

namespace autoglm {
namespace {

// Every norm of the reference uses torch's default.
constexpr double kLayerNormEpsilon = 1e-5;

}  // namespace

int64_t Conformer::NumFrames(std::span<const TowerItem> items) const {
  int64_t count = 0;
  for (const TowerItem& item : items) count += config_.NumStates(item.grid);
  return count;
}

int64_t Conformer::LongestItem(std::span<const TowerItem> items) const {
  int64_t longest = 0;
  for (const TowerItem& item : items) longest = std::max(longest, config_.NumStates(item.grid));
  return longest;
}

int64_t Conformer::WideSize() const { return std::max(4 * config_.hidden_size, config_.mlp_size); }

Status Conformer::Reserve(std::span<const TowerItem> items) {
  const int64_t rows = NumFrames(items);
  const int64_t num_distances = 2 * LongestItem(items) - 1;
  int64_t mel_frames = 0;
  for (const TowerItem& item : items) mel_frames += item.grid.t;
  const int64_t hidden = config_.hidden_size;
  Activations& a = activations_;
  const Status status = workspace_.LayOut(device_, {{&a.mel, mel_frames, config_.num_mel_bins},
                                                    {&a.x, rows, hidden},
                                                    {&a.normed, rows, hidden},
                                                    {&a.wide, rows, WideSize()},
                                                    {&a.branch, rows, hidden},
                                                    {&a.distances, num_distances, hidden},
                                                    {&a.relative_keys, num_distances, hidden}});
  return status.ok() ? subsampling_.Reserve() : status;
}

StateRange Conformer::StatesOf(std::span<const TowerItem> items, int64_t index) const {
  return {NumFrames(items.first(static_cast<size_t>(index))),
          config_.NumStates(items[static_cast<size_t>(index)].grid)};
}

MatrixView Conformer::ItemRows(const MatrixView& rows, std::span<const TowerItem> items,
                               int64_t index) const {
  const StateRange range = StatesOf(items, index);
  return rows.Rows(range.begin, range.count);
}

void Conformer::Subsample(const TowerBatch& batch, const Activations& a) {
  layer_ops_.Upload(batch.features, a.mel);
  int64_t mel_begin = 0;
  for (size_t i = 0; i < batch.items.size(); ++i) {
    const int64_t mel_count = batch.items[i].grid.t;
    subsampling_.Apply(a.mel.Rows(mel_begin, mel_count),
                       ItemRows(a.x, batch.items, static_cast<int64_t>(i)));
    mel_begin += mel_count;
  }
}

// Computes x += linear2(silu(linear1(norm(x)))) / 2.
void Conformer::ApplyFeedForward(const FeedForward& feed_forward, const Activations& a) const {
  const MatrixView inner = a.Wide(config_.mlp_size);
  layer_ops_.LayerNorm(a.x, feed_forward.norm, kLayerNormEpsilon, a.normed);
  layer_ops_.Multiply(a.normed, feed_forward.linear1, inner);
  layer_ops_.Activate(Activation::kSilu, inner);
  layer_ops_.Multiply(inner, feed_forward.linear2, a.branch);
  layer_ops_.AddScaled(a.branch, 0.5f, a.x);
}

// Computes x += output(softmax(((q + u) * k + (q + v) * p) / sqrt(head_dim)) * v).
void Conformer::Attend(const TowerBatch& batch, const Attention& attention,
                       const Activations& a) const {
  const int64_t hidden = config_.hidden_size;
  const MatrixView projected = a.Wide(4 * hidden);
  layer_ops_.LayerNorm(a.x, attention.norm, kLayerNormEpsilon, a.normed);
  layer_ops_.Multiply(a.normed, attention.queries_keys_values, projected);
  layer_ops_.Multiply(a.distances, attention.relative_keys, a.relative_keys);
  const int64_t distance_zero = (a.relative_keys.rows - 1) / 2;
  for (size_t i = 0; i < batch.items.size(); ++i) {
    if (batch.items[i].IsCancelled()) continue;
    const int64_t index = static_cast<int64_t>(i);
    const MatrixView rows = ItemRows(projected, batch.items, index);
    device_.ops->full_attention(
        *device_.context,
        {.q = rows.Columns(0, hidden),
         .keys = rows.Columns(2 * hidden, hidden),
         .values = rows.Columns(3 * hidden, hidden),
         .num_heads = config_.num_heads,
         .scale = 1.0f / std::sqrt(static_cast<float>(hidden / config_.num_heads)),
         .relative_q = rows.Columns(hidden, hidden),
         .relative_keys = a.relative_keys.Rows(distance_zero, 1).data,
         .relative_stride = a.relative_keys.stride,
         .product_dtype = layer_ops_.activation_dtype(),
         .out = ItemRows(a.normed, batch.items, index)});
  }
  layer_ops_.Multiply(a.normed, attention.output, a.branch);
  layer_ops_.AddScaled(a.branch, 1.0f, a.x);
}

// Computes x += pointwise2(silu(batch_norm(depthwise(glu(pointwise1(norm(x))))))), over each item's
// frames.
void Conformer::Convolve(const TowerBatch& batch, const Convolution& convolution,
                         const Activations& a) const {
  const Ops& ops = *device_.ops;
  OpsContext& context = *device_.context;
  const MatrixView gates = a.Wide(2 * config_.hidden_size);
  layer_ops_.LayerNorm(a.x, convolution.norm, kLayerNormEpsilon, a.normed);
  layer_ops_.Multiply(a.normed, convolution.pointwise1, gates);
  ops.glu(context, {.x = gates, .y = a.normed});
  for (size_t i = 0; i < batch.items.size(); ++i) {
    const int64_t index = static_cast<int64_t>(i);
    ops.depthwise_conv1d(context, {.x = ItemRows(a.normed, batch.items, index),
                                   .weight = convolution.depthwise,
                                   .kernel_size = config_.conv_kernel_size,
                                   .pad_left = config_.conv_kernel_size / 2,
                                   .bias = convolution.depthwise_bias,
                                   .y = ItemRows(a.branch, batch.items, index)});
  }
  layer_ops_.Activate(Activation::kSilu, a.branch);
  layer_ops_.Multiply(a.branch, convolution.pointwise2, a.normed);
  layer_ops_.AddScaled(a.normed, 1.0f, a.x);
}

TowerOutcome Conformer::Encode(const TowerBatch& batch, MatrixView& states) {
  const int64_t longest = LongestItem(batch.items);
  const int64_t hidden = config_.hidden_size;
  const Activations& a = activations_;
  if (longest > sinusoid_frames_) {
    sinusoids_ = RelativeSinusoids(longest, hidden);
    sinusoid_frames_ = longest;
  }

  layer_ops_.Upload(sinusoids_.data() + (sinusoid_frames_ - longest) * hidden, a.distances);
  Subsample(batch, a);
  for (const Layer& layer : layers_) {
    if (batch.IsCancelled()) return TowerOutcome::kCancelled;
    ApplyFeedForward(layer.feed_forward1, a);
    Attend(batch, layer.attention, a);
    Convolve(batch, layer.convolution, a);
    ApplyFeedForward(layer.feed_forward2, a);
    layer_ops_.LayerNorm(a.x, layer.norm_out, kLayerNormEpsilon, a.x);
  }
  states = a.x;
  return TowerOutcome::kDone;
}

}  // namespace autoglm
