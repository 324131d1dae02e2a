#include "model/encoder/glm4v_merger.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "model/encoder/row_chunks.h"

namespace autoglm {
namespace {

// The merger's norm uses torch's default, not the epsilon of the tower's norms.
constexpr double kLayerNormEpsilon = 1e-5;

// Reorders [out, in, taps] to [out, taps, in]: the order in which rows of patches follow each
// other.
std::vector<float> ChannelsLast(const std::vector<float>& kernel, int64_t in, int64_t taps) {
  std::vector<float> reordered(kernel.size());
  const int64_t out = static_cast<int64_t>(kernel.size()) / (in * taps);
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        reordered[static_cast<size_t>((o * taps + tap) * in + i)] =
            kernel[static_cast<size_t>((o * in + i) * taps + tap)];
      }
    }
  }
  return reordered;
}

}  // namespace

void Glm4vMerger::Load(WeightLoader& loader) {
  const int64_t hidden = config_.hidden_size;
  const int64_t out = config_.out_size;
  const int64_t side = config_.merge_size;
  const int64_t inner = config_.merger_size;
  const std::vector<float> kernel =
      loader.ReadFloats("downsample.weight", {out, hidden, side, side});
  downsample_ = loader.AddLinear(ChannelsLast(kernel, hidden, config_.PatchesPerToken()),
                                 config_.PatchesPerToken() * hidden,
                                 loader.ReadFloats("downsample.bias", {out}));
  proj_ = loader.LoadLinear({{"merger.proj", out}}, {out}, false);
  norm_ = LoadLayerNorm(loader, "merger.post_projection_norm", out);
  gate_up_ = loader.LoadLinear({{"merger.gate_proj", inner}, {"merger.up_proj", inner}}, {out},
                               false);
  down_ = loader.LoadLinear({{"merger.down_proj", out}}, {inner}, false);
}

Status Glm4vMerger::Reserve(int64_t num_rows) {
  const int64_t chunk = std::min(num_rows, kRowsPerChunk);
  return workspace_.LayOut(device_, {{&downsampled_, chunk, config_.out_size},
                                     {&projected_, chunk, config_.out_size},
                                     {&gate_up_rows_, chunk, 2 * config_.merger_size},
                                     {&gated_, chunk, config_.merger_size}});
}

// Computes y = gelu(norm(proj(downsample(patches)))) and rows = down(silu(gate(y)) * up(y)).
TowerOutcome Glm4vMerger::Apply(const TowerBatch& batch, const MatrixView& patches,
                                const MatrixView& rows) {
  const MatrixView cells =
      DenseMatrix(patches.data, rows.rows, config_.PatchesPerToken() * config_.hidden_size);
  return ForChunks(batch, rows.rows, [&](int64_t begin, int64_t count) {
    const MatrixView downsampled = downsampled_.Rows(0, count);
    const MatrixView projected = projected_.Rows(0, count);
    layer_ops_.Multiply(cells.Rows(begin, count), downsample_, downsampled);
    layer_ops_.Multiply(downsampled, proj_, projected);
    layer_ops_.LayerNorm(projected, norm_, kLayerNormEpsilon, projected);
    layer_ops_.Activate(Activation::kGeluErf, projected);
    layer_ops_.ApplyGatedMlp(projected,
                             {.gate_up = gate_up_,
                              .down = down_,
                              .gate_up_rows = gate_up_rows_.Rows(0, count),
                              .gated = gated_.Rows(0, count)},
                             rows.Rows(begin, count));
  });
}

}  // namespace autoglm
