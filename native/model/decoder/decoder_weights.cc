#include "model/decoder/decoder_weights.h"

#include <string>

namespace autoglm {
namespace {

DecoderLayerWeights LoadLayer(WeightLoader& loader, const DecoderConfig& config, int64_t index) {
  const std::string prefix = "layers." + std::to_string(index) + ".";
  const std::string attention = prefix + "self_attn.";
  const int64_t hidden = config.hidden_size;
  const int64_t q_columns = config.num_heads * config.head_dim;
  const int64_t kv_columns = config.num_kv_heads * config.head_dim;

  DecoderLayerWeights layer;
  layer.input_norm = loader.LoadVector(prefix + "input_layernorm.weight", hidden);
  layer.qkv = loader.LoadLinear({{attention + "q_proj", q_columns},
                                 {attention + "k_proj", kv_columns},
                                 {attention + "v_proj", kv_columns}},
                                {hidden}, config.attention_bias);
  layer.o = loader.LoadLinear({{attention + "o_proj", hidden}}, {q_columns}, false);
  layer.post_attention_norm = loader.LoadVector(prefix + "post_self_attn_layernorm.weight", hidden);
  layer.pre_mlp_norm = loader.LoadVector(prefix + "post_attention_layernorm.weight", hidden);
  layer.gate_up = loader.LoadLinear({{prefix + "mlp.gate_up_proj", 2 * config.intermediate_size}},
                                    {hidden}, false);
  layer.down =
      loader.LoadLinear({{prefix + "mlp.down_proj", hidden}}, {config.intermediate_size}, false);
  layer.post_mlp_norm = loader.LoadVector(prefix + "post_mlp_layernorm.weight", hidden);
  return layer;
}

}  // namespace

Result<DecoderWeights> LoadDecoderWeights(const Device& device, const TensorSource& source,
                                          const DecoderConfig& config,
                                          const WeightLoader::Options& options) {
  DecoderWeights weights;
  WeightLoader loader(device, source, weights.memory, options);
  weights.embedding =
      loader.LoadTable("embed_tokens.weight", config.vocab_size, config.hidden_size);
  for (int64_t i = 0; i < config.num_layers; ++i) {
    weights.layers.push_back(LoadLayer(loader, config, i));
  }
  weights.final_norm = loader.LoadVector("norm.weight", config.hidden_size);
  weights.head = loader.LoadLinear(
      {{config.tie_word_embeddings ? "embed_tokens" : "lm_head", config.vocab_size}},
      {config.hidden_size}, false);
  if (!loader.status().ok()) return loader.status();
  return weights;
}

}  // namespace autoglm
