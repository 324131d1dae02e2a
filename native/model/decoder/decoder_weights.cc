#include "model/decoder/decoder_weights.h"

#include <string>

namespace autoglm {
namespace {

// Returns the rows or inputs of heads.
Slice OfHeads(const Slice& heads, const DecoderConfig& config) {
  return {heads.first * config.head_dim, heads.count * config.head_dim};
}

// Returns the gate's rows and those above them of a shard, which lie in one tensor.
std::vector<LinearPart> GateUpParts(const std::string& name, const DecoderConfig& config,
                                    const DecoderShard& shard) {
  const int64_t inner = config.intermediate_size;
  if (shard.IsWhole()) return {{name, 2 * inner}};
  const Slice& gate = shard.intermediate;
  return {{name, 2 * inner, gate}, {name, 2 * inner, Slice{inner + gate.first, gate.count}}};
}

DecoderLayerWeights LoadLayer(WeightLoader& loader, const DecoderWeightSource& source,
                              int64_t index) {
  const DecoderConfig& config = source.config;
  const DecoderShard& shard = source.shard;
  const std::string prefix = "layers." + std::to_string(index) + ".";
  const std::string attention = prefix + "self_attn.";
  const int64_t hidden = config.hidden_size;
  const int64_t q_columns = config.num_heads * config.head_dim;
  const int64_t kv_columns = config.num_kv_heads * config.head_dim;

  DecoderLayerWeights layer;
  layer.input_norm = loader.LoadVector(prefix + "input_layernorm.weight", hidden);
  const Slice q_rows = OfHeads(shard.heads, config);
  const Slice kv_rows = OfHeads(shard.kv_heads, config);
  layer.qkv = loader.LoadLinear({{attention + "q_proj", q_columns, q_rows},
                                 {attention + "k_proj", kv_columns, kv_rows},
                                 {attention + "v_proj", kv_columns, kv_rows}},
                                {hidden}, config.attention_bias);
  layer.o = loader.LoadInputs({attention + "o_proj", hidden}, q_columns, q_rows);
  layer.post_attention_norm = loader.LoadVector(prefix + "post_self_attn_layernorm.weight", hidden);
  layer.pre_mlp_norm = loader.LoadVector(prefix + "post_attention_layernorm.weight", hidden);
  layer.gate_up = loader.LoadLinear(GateUpParts(prefix + "mlp.gate_up_proj", config, shard),
                                    {hidden}, false);
  layer.down = loader.LoadInputs({prefix + "mlp.down_proj", hidden}, config.intermediate_size,
                                 shard.intermediate);
  layer.post_mlp_norm = loader.LoadVector(prefix + "post_mlp_layernorm.weight", hidden);
  return layer;
}

}  // namespace

Result<DecoderWeights> LoadDecoderWeights(const Device& device, const DecoderWeightSource& source,
                                          WeightMemory& memory) {
  const DecoderConfig& config = source.config;
  const DecoderShard& shard = source.shard;
  DecoderWeights weights;
  WeightLoader loader(device, source.tensors, memory, source.loading);
  const std::string embedding = "embed_tokens.weight";
  weights.embedding =
      shard.IsWhole() ? loader.LoadTable(embedding, config.vocab_size, config.hidden_size)
                      : loader.LoadTableRows(embedding, config.vocab_size, config.hidden_size,
                                             shard.vocabulary);
  for (int64_t i = 0; i < config.num_layers && loader.status().ok(); ++i) {
    weights.layers.push_back(LoadLayer(loader, source, i));
  }
  weights.final_norm = loader.LoadVector("norm.weight", config.hidden_size);
  if (!loader.status().ok()) return loader.status();
  WeightLoader::Options head_options = source.loading;
  if (!source.quantizes_head) head_options.linear_format = head_options.format;
  WeightLoader head_loader(device, source.tensors, memory, head_options);
  weights.head = head_loader.LoadLinear(
      {{config.tie_word_embeddings ? "embed_tokens" : "lm_head", config.vocab_size,
        shard.vocabulary}},
      {config.hidden_size}, false);
  if (!head_loader.status().ok()) return head_loader.status();
  return weights;
}

}  // namespace autoglm
