#ifndef AUTOGLM_MODEL_DECODER_WEIGHTS_H_
#define AUTOGLM_MODEL_DECODER_WEIGHTS_H_

#include <vector>

#include "base/status.h"
#include "model/decoder/decoder_config.h"
#include "model/decoder/decoder_shard.h"
#include "model/weights/weight_loader.h"

namespace autoglm {

// Weights of one GLM-4 layer, as far as they are the rank's. Comments give the checkpoint's name if it
// differs.
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
  EmbeddingTable embedding;  // embed_tokens; of a shard with a row of zeros, see DecoderShard
  std::vector<DecoderLayerWeights> layers;
  const float* final_norm = nullptr;  // norm
  Linear head;                        // lm_head
};

// Where the weights of a decoder come from.
struct DecoderWeightSource {
  const TensorSource& tensors;
  const DecoderConfig& config;  // of the whole decoder
  const DecoderShard& shard;
  WeightLoader::Options loading;
  bool quantizes_head;  // the head has the linear_format too
};

// Loads the weights of a rank's shard of a decoder and packs them in `memory`, which must outlive them.
Result<DecoderWeights> LoadDecoderWeights(const Device& device, const DecoderWeightSource& source,
                                          WeightMemory& memory);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_DECODER_WEIGHTS_H_
