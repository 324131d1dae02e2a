#include "model/encoder/glm4v_vision.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "model/encoder/axial_rope.h"
#include "model/encoder/row_chunks.h"

namespace autoglm {
namespace {

int64_t NumPatches(std::span<const TowerItem> items) {
  int64_t count = 0;
  for (const TowerItem& item : items) count += item.grid.NumCells();
  return count;
}

}  // namespace

Result<std::unique_ptr<Glm4vVision>> Glm4vVision::Load(const Device& device,
                                                       const Glm4vVisionConfig& config,
                                                       Dtype activation_dtype,
                                                       WeightLoader& loader) {
  std::unique_ptr<Glm4vVision> tower(new Glm4vVision(device, config, activation_dtype));
  tower->LoadStem(loader);
  for (int64_t i = 0; i < config.num_layers && loader.status().ok(); ++i) {
    tower->layers_.push_back(tower->LoadLayer(loader, "blocks." + std::to_string(i) + "."));
  }
  tower->post_norm_ = loader.LoadVector("post_layernorm.weight", config.hidden_size);
  tower->merger_.Load(loader);
  if (!loader.status().ok()) return loader.status();
  return tower;
}

void Glm4vVision::LoadStem(WeightLoader& loader) {
  const int64_t hidden = config_.hidden_size;
  const int64_t frames = config_.temporal_patch_size;
  const int64_t side = config_.patch_size;
  patch_projection_ = loader.LoadLinear({{"patch_embed.proj", hidden}},
                                        {kNumImageChannels, frames, side, side}, true);
  post_conv_norm_ = loader.LoadVector("post_conv_layernorm.weight", hidden);
  std::vector<float> table = loader.ReadFloats("embeddings.position_embedding.weight",
                                               {config_.num_positions, hidden});
  if (loader.status().ok()) positions_.emplace(std::move(table), hidden);
}

Glm4vVision::Layer Glm4vVision::LoadLayer(WeightLoader& loader, const std::string& prefix) const {
  const int64_t hidden = config_.hidden_size;
  const int64_t mlp = config_.mlp_size;
  return {.norm1 = loader.LoadVector(prefix + "norm1.weight", hidden),
          .qkv = loader.LoadLinear({{prefix + "attn.qkv", 3 * hidden}}, {hidden}, false),
          .proj = loader.LoadLinear({{prefix + "attn.proj", hidden}}, {hidden}, false),
          .norm2 = loader.LoadVector(prefix + "norm2.weight", hidden),
          .gate_up = loader.LoadLinear(
              {{prefix + "mlp.gate_proj", mlp}, {prefix + "mlp.up_proj", mlp}}, {hidden}, false),
          .down = loader.LoadLinear({{prefix + "mlp.down_proj", hidden}}, {mlp}, false)};
}

Status Glm4vVision::Reserve(std::span<const TowerItem> items) {
  const int64_t n = NumPatches(items);
  const int64_t tokens = n / config_.PatchesPerToken();
  const int64_t chunk = std::min(n, kRowsPerChunk);
  const int64_t hidden = config_.hidden_size;
  const int64_t pairs = HeadDim() / 2;
  Activations& a = activations_;
  const Status status = workspace_.LayOut(device_, {{&a.patches, n, config_.patch_values},
                                                    {&a.x, n, hidden},
                                                    {&a.attended, n, hidden},
                                                    {&a.qkv, n, 3 * hidden},
                                                    {&a.cos, n, pairs},
                                                    {&a.sin, n, pairs},
                                                    {&a.branch, chunk, hidden},
                                                    {&a.gate_up, chunk, 2 * config_.mlp_size},
                                                    {&a.gated, chunk, config_.mlp_size},
                                                    {&a.rows, tokens, config_.out_size}});
  return status.ok() ? merger_.Reserve(tokens) : status;
}

StateRange Glm4vVision::StatesOf(std::span<const TowerItem> items, int64_t index) const {
  const int64_t begin = NumPatches(items.first(static_cast<size_t>(index)));
  return {begin / config_.PatchesPerToken(),
          config_.NumStates(items[static_cast<size_t>(index)].grid)};
}

void Glm4vVision::ApplyNorm(const float* weight, const MatrixView& x, const MatrixView& y) const {
  device_.ops->rms_norm(*device_.context, {.x = x,
                                           .weight = weight,
                                           .bias = nullptr,
                                           .epsilon = static_cast<float>(config_.rms_norm_eps),
                                           .y = y});
}

const Glm4vVision::GridTables& Glm4vVision::TablesOf(const Grid& grid) {
  if (tables_.has_value() && tables_->grid == grid) return *tables_;
  const size_t cells = static_cast<size_t>(grid.NumCells());
  const AxialRope rope = {.num_pairs = HeadDim() / 2, .theta = config_.rope_theta};
  GridTables& tables = tables_.emplace();
  tables.grid = grid;
  tables.positions.resize(cells * static_cast<size_t>(config_.hidden_size));
  tables.cos.resize(cells * static_cast<size_t>(rope.num_pairs));
  tables.sin.resize(tables.cos.size());
  positions_->Interpolate(grid, config_.merge_size, device_.context->threads(),
                          tables.positions.data());
  rope.Write(grid, config_.merge_size, tables.cos.data(), tables.sin.data());
  return tables;
}

// Computes x = norm(projected patches) + positions.
void Glm4vVision::Embed(const TowerBatch& batch, const Activations& a) {
  layer_ops_.Upload(batch.features, a.patches);
  layer_ops_.Multiply(a.patches, patch_projection_, a.attended);
  ApplyNorm(post_conv_norm_, a.attended, a.x);
  int64_t begin = 0;
  for (const TowerItem& item : batch.items) {
    const int64_t count = item.grid.NumCells();
    const GridTables& tables = TablesOf(item.grid);
    layer_ops_.Upload(tables.positions.data(), a.attended.Rows(begin, count));
    layer_ops_.Upload(tables.cos.data(), a.cos.Rows(begin, count));
    layer_ops_.Upload(tables.sin.data(), a.sin.Rows(begin, count));
    begin += count;
  }
  layer_ops_.AddScaled(a.attended, 1.0f, a.x);
}

// Computes qkv = rope(norm1(x) * Wqkv), for a chunk of rows.
void Glm4vVision::ProjectQkv(const Layer& layer, const Activations& a, int64_t begin,
                             int64_t count) const {
  const MatrixView normed = a.branch.Rows(0, count);
  const MatrixView qkv = a.qkv.Rows(begin, count);
  ApplyNorm(layer.norm1, a.x.Rows(begin, count), normed);
  layer_ops_.Multiply(normed, layer.qkv, qkv);
  // Queries and keys lie beside each other: one call rotates both, as twice as many heads.
  device_.ops->rope(*device_.context, {.pairs = RopePairs::kHalves,
                                       .x = qkv.Columns(0, 2 * config_.hidden_size),
                                       .num_heads = 2 * config_.num_heads,
                                       .num_pairs = HeadDim() / 2,
                                       .cos = a.cos.Rows(begin, count).data,
                                       .sin = a.sin.Rows(begin, count).data});
}

// Computes attended = softmax(q * k / sqrt(head_dim)) * v within each picture.
TowerOutcome Glm4vVision::Attend(const TowerBatch& batch, const Activations& a) const {
  const int64_t hidden = config_.hidden_size;
  int64_t item_begin = 0;
  for (const TowerItem& item : batch.items) {
    const MatrixView qkv = a.qkv.Rows(item_begin, item.grid.NumCells());
    const MatrixView out = a.attended.Rows(item_begin, item.grid.NumCells());
    item_begin += item.grid.NumCells();
    if (item.IsCancelled()) continue;
    const TowerOutcome outcome = ForChunks(batch, qkv.rows, [&](int64_t begin, int64_t count) {
      device_.ops->full_attention(
          *device_.context, {.q = qkv.Rows(begin, count).Columns(0, hidden),
                             .keys = qkv.Columns(hidden, hidden),
                             .values = qkv.Columns(2 * hidden, hidden),
                             .num_heads = config_.num_heads,
                             .scale = 1.0f / std::sqrt(static_cast<float>(HeadDim())),
                             .relative_q = {},
                             .relative_keys = nullptr,
                             .relative_stride = 0,
                             .product_dtype = layer_ops_.activation_dtype(),
                             .out = out.Rows(begin, count)});
    });
    if (outcome == TowerOutcome::kCancelled) return outcome;
  }
  return TowerOutcome::kDone;
}

// Computes x += proj(attended), then x += down(silu(gate(norm2(x))) * up(norm2(x))), for a chunk of
// rows.
void Glm4vVision::FinishLayer(const Layer& layer, const Activations& a, int64_t begin,
                              int64_t count) const {
  const MatrixView x = a.x.Rows(begin, count);
  const MatrixView branch = a.branch.Rows(0, count);
  layer_ops_.Multiply(a.attended.Rows(begin, count), layer.proj, branch);
  layer_ops_.AddScaled(branch, 1.0f, x);
  ApplyNorm(layer.norm2, x, branch);
  layer_ops_.ApplyGatedMlp(branch,
                           {.gate_up = layer.gate_up,
                            .down = layer.down,
                            .gate_up_rows = a.gate_up.Rows(0, count),
                            .gated = a.gated.Rows(0, count)},
                           branch);
  layer_ops_.AddScaled(branch, 1.0f, x);
}

TowerOutcome Glm4vVision::RunLayer(const TowerBatch& batch, const Layer& layer,
                                   const Activations& a) const {
  TowerOutcome outcome = ForChunks(batch, a.x.rows, [&](int64_t begin, int64_t count) {
    ProjectQkv(layer, a, begin, count);
  });
  if (outcome == TowerOutcome::kDone) outcome = Attend(batch, a);
  if (outcome == TowerOutcome::kCancelled) return outcome;
  return ForChunks(batch, a.x.rows, [&](int64_t begin, int64_t count) {
    FinishLayer(layer, a, begin, count);
  });
}

TowerOutcome Glm4vVision::Encode(const TowerBatch& batch, MatrixView& states) {
  const Activations& a = activations_;
  Embed(batch, a);
  for (const Layer& layer : layers_) {
    if (RunLayer(batch, layer, a) == TowerOutcome::kCancelled) return TowerOutcome::kCancelled;
  }
  ApplyNorm(post_norm_, a.x, a.x);
  states = a.rows;
  return merger_.Apply(batch, a.x, a.rows);
}

}  // namespace autoglm
