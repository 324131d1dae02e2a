#ifndef AUTOGLM_MODEL_DECODER_CONFIG_H_
#define AUTOGLM_MODEL_DECODER_CONFIG_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/dtype.h"
#include "base/status.h"

namespace autoglm {

// Shape of a GLM-4 decoder. It does not depend on the version of the `config.json` it was read
// from.
struct DecoderConfig {
  std::string model_type;  // of the whole checkpoint, such as "glm4v"
  int64_t hidden_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;     // of queries
  int64_t num_kv_heads = 0;  // divides num_heads
  int64_t head_dim = 0;
  int64_t intermediate_size = 0;
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;
  float rms_norm_eps = 1e-5f;
  double rope_theta = 10000.0;
  int64_t num_rope_pairs = 0;  // 2 * num_rope_pairs <= head_dim
  // Pairs that turn with the position of time, height and width; they sum to num_rope_pairs.
  std::optional<std::array<int64_t, 3>> mrope_section;
  bool attention_bias = true;  // of q, k and v; o never has one
  bool tie_word_embeddings = false;
  std::optional<Dtype> dtype;  // of the checkpoint, if the file names one
};

// Reads DIRECTORY/config.json; refuses architectures this engine does not compute.
Result<DecoderConfig> ReadDecoderConfig(const std::string& directory);

// Refuses a shape that no kernel could compute; `where` names it in the message.
Status CheckDecoderConfig(const DecoderConfig& config, const std::string& where);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_DECODER_CONFIG_H_
