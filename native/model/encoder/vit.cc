#include "model/encoder/vit.h"

#include <cmath>
#include <cstddef>

namespace autoglm {

Result<std::unique_ptr<Vit>> Vit::Load(const Device& device, const VitConfig& config,
                                       Dtype activation_dtype, WeightLoader& loader) {
  std::unique_ptr<Vit> vit(new Vit(device, config, activation_dtype));
  const Status status = vit->LoadEmbeddings(loader);
  if (!status.ok()) return status;
  for (int64_t i = 0; i < config.num_layers && loader.status().ok(); ++i) {
    vit->layers_.push_back(
        vit->LoadLayer(loader, "encoder.layer." + std::to_string(i) + "."));
  }
  vit->final_norm_ = LoadLayerNorm(loader, "layernorm", config.hidden_size);
  if (!loader.status().ok()) return loader.status();
  return vit;
}

Status Vit::LoadEmbeddings(WeightLoader& loader) {
  const int64_t hidden = config_.hidden_size;
  patch_projection_ = loader.LoadLinear({{"embeddings.patch_embeddings.projection", hidden}},
                                        {kNumImageChannels, config_.patch_size, config_.patch_size},
                                        true);
  class_row_ = loader.ReadFloats("embeddings.cls_token", {1, 1, hidden});
  const std::vector<float> positions =
      loader.ReadFloats("embeddings.position_embeddings", {1, RowsPerItem(), hidden});
  if (!loader.status().ok()) return loader.status();

  for (int64_t i = 0; i < hidden; ++i) {
    class_row_[static_cast<size_t>(i)] += positions[static_cast<size_t>(i)];
  }
  std::vector<float> reordered;
  for (int64_t cell = 0; cell < config_.grid.NumCells(); ++cell) {
    const PatchPosition at = PatchAt(config_.grid, config_.merge_size, cell);
    const auto row = positions.begin() + (1 + at.row * config_.grid.w + at.column) * hidden;
    reordered.insert(reordered.end(), row, row + hidden);
  }
  const int64_t cells = config_.grid.NumCells();
  const Status status = constants_.LayOut(device_, {{&patch_positions_, cells, hidden}});
  if (!status.ok()) return status;
  layer_ops_.Upload(reordered.data(), patch_positions_);
  return Status();
}

Vit::Layer Vit::LoadLayer(WeightLoader& loader, const std::string& prefix) const {
  const int64_t hidden = config_.hidden_size;
  const std::string attention = prefix + "attention.attention.";
  return {.before = LoadLayerNorm(loader, prefix + "layernorm_before", hidden),
          .qkv = loader.LoadLinear({{attention + "query", hidden},
                                    {attention + "key", hidden},
                                    {attention + "value", hidden}},
                                   {hidden}, config_.qkv_bias),
          .output =
              loader.LoadLinear({{prefix + "attention.output.dense", hidden}}, {hidden}, true),
          .after = LoadLayerNorm(loader, prefix + "layernorm_after", hidden),
          .fc1 = loader.LoadLinear({{prefix + "intermediate.dense", config_.mlp_size}}, {hidden},
                                   true),
          .fc2 = loader.LoadLinear({{prefix + "output.dense", hidden}}, {config_.mlp_size}, true)};
}

Status Vit::Reserve(std::span<const TowerItem> items) {
  const int64_t rows = static_cast<int64_t>(items.size()) * RowsPerItem();
  const int64_t hidden = config_.hidden_size;
  const int64_t cells = static_cast<int64_t>(items.size()) * config_.grid.NumCells();
  Activations& a = activations_;
  return workspace_.LayOut(device_, {{&a.patches, cells, config_.patch_values},
                                     {&a.x, rows, hidden},
                                     {&a.normed, rows, hidden},
                                     {&a.qkv, rows, 3 * hidden},
                                     {&a.mlp, rows, config_.mlp_size}});
}

StateRange Vit::StatesOf(std::span<const TowerItem>, int64_t index) const {
  return {index * RowsPerItem() + 1, config_.grid.NumCells()};
}

// Computes x = [class token; projected patches] + positions, item by item.
void Vit::Embed(const TowerBatch& batch, const Activations& a) const {
  const int64_t cells = config_.grid.NumCells();
  const int64_t num_items = static_cast<int64_t>(batch.items.size());
  layer_ops_.Upload(batch.features, a.patches);
  for (int64_t i = 0; i < num_items; ++i) {
    const MatrixView rows = a.x.Rows(i * RowsPerItem() + 1, cells);
    layer_ops_.Multiply(a.patches.Rows(i * cells, cells), patch_projection_, rows);
    layer_ops_.AddScaled(patch_positions_, 1.0f, rows);
    layer_ops_.Upload(class_row_.data(), a.x.Rows(i * RowsPerItem(), 1));
  }
}

// Computes x += output(attention(norm(x))), each item over its own rows.
void Vit::Attend(const TowerBatch& batch, const Layer& layer, const Activations& a) const {
  const int64_t hidden = config_.hidden_size;
  const int64_t head_dim = hidden / config_.num_heads;
  layer_ops_.LayerNorm(a.x, layer.before, config_.layer_norm_eps, a.normed);
  layer_ops_.Multiply(a.normed, layer.qkv, a.qkv);
  for (size_t i = 0; i < batch.items.size(); ++i) {
    if (batch.items[i].IsCancelled()) continue;
    const int64_t begin = static_cast<int64_t>(i) * RowsPerItem();
    const MatrixView qkv = a.qkv.Rows(begin, RowsPerItem());
    device_.ops->full_attention(
        *device_.context,
        {.q = qkv.Columns(0, hidden),
         .keys = qkv.Columns(hidden, hidden),
         .values = qkv.Columns(2 * hidden, hidden),
         .num_heads = config_.num_heads,
         .scale = 1.0f / std::sqrt(static_cast<float>(head_dim)),
         .relative_q = {},
         .relative_keys = nullptr,
         .relative_stride = 0,
         .product_dtype = layer_ops_.activation_dtype(),
         .out = a.normed.Rows(begin, RowsPerItem())});
  }
  const MatrixView branch = DenseMatrix(a.qkv.data, a.x.rows, hidden);
  layer_ops_.Multiply(a.normed, layer.output, branch);
  layer_ops_.AddScaled(branch, 1.0f, a.x);
}

// Computes x += fc2(gelu(fc1(norm(x)))).
void Vit::ApplyMlp(const Layer& layer, const Activations& a) const {
  layer_ops_.LayerNorm(a.x, layer.after, config_.layer_norm_eps, a.normed);
  layer_ops_.Multiply(a.normed, layer.fc1, a.mlp);
  layer_ops_.Activate(Activation::kGeluErf, a.mlp);
  layer_ops_.Multiply(a.mlp, layer.fc2, a.normed);
  layer_ops_.AddScaled(a.normed, 1.0f, a.x);
}

TowerOutcome Vit::Encode(const TowerBatch& batch, MatrixView& states) {
  const Activations& a = activations_;
  Embed(batch, a);
  for (const Layer& layer : layers_) {
    if (batch.IsCancelled()) return TowerOutcome::kCancelled;
    Attend(batch, layer, a);
    ApplyMlp(layer, a);
  }
  layer_ops_.LayerNorm(a.x, final_norm_, config_.layer_norm_eps, a.normed);
  states = a.normed;
  return TowerOutcome::kDone;
}

}  // namespace autoglm
