#ifndef AUTOGLM_MODEL_DECODER_WEIGHTS_H_
#define AUTOGLM_MODEL_DECODER_WEIGHTS_H_

#include <vector>

#include "base/status.h"
#include "model/decoder/decoder_config.h"
#include "model/checkpoint/weight_loader.h"

namespace autoglm {

// Weights of one GLM-4 layer. Comments give the checkpoint's name if it differs.
struct DecoderLayerWeights {
  const float* input_norm = nullptr;           // [hidden_size], input_layernorm
  Linear qkv;                                  // q_proj | k_proj | v_proj
  Linear o;                                    // o_proj
  const float* post_attention_norm = nullptr;  // post_self_attn_layernorm
  const float* pre_mlp_norm = nullptr;         // post_attention_layernorm, despite its name
  Linear gate_up;                              // gate rows first
  Linear down;
  const float* post_mlp_norm = nullptr;  // post_mlp_layernorm
};

struct DecoderWeights {
  WeightMemory memory;
  EmbeddingTable embedding;  // embed_tokens
  std::vector<DecoderLayerWeights> layers;
  const float* final_norm = nullptr;  // norm
  Linear head;                        // lm_head
};

// Loads the weights of a decoder and packs them in memory of the device; `options` are those of
// WeightLoader.
Result<DecoderWeights> LoadDecoderWeights(const Device& device, const TensorSource& source,
                                          const DecoderConfig& config,
                                          const WeightLoader::Options& options);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_DECODER_WEIGHTS_H_
