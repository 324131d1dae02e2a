#include "model/decoder/decoder_activations.h"

namespace autoglm {

Status DecoderActivations::LayOut(const Device& device, const DecoderConfig& config,
                                  int64_t num_tokens) {
  const int64_t q_columns = config.num_heads * config.head_dim;
  const int64_t kv_columns = config.num_kv_heads * config.head_dim;
  return memory.LayOut(device, {{&residual, num_tokens, config.hidden_size},
                                 {&normed, num_tokens, config.hidden_size},
                                 {&qkv, num_tokens, q_columns + 2 * kv_columns},
                                 {&attention, num_tokens, q_columns},
                                 {&gate_up, num_tokens, 2 * config.intermediate_size},
                                 {&mlp, num_tokens, config.intermediate_size},
                                 {&projected, num_tokens, config.hidden_size},
                                 {&last, kMaxLogitRows, config.hidden_size},
                                 {&logits, kMaxLogitRows, config.vocab_size}});
}

}  // namespace autoglm
