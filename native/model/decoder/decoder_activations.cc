#include "model/decoder/decoder_activations.h"

namespace autoglm {

Status DecoderActivations::LayOut(const Device& device, const DecoderConfig& config,
                                  const DecoderShard& shard, int64_t num_tokens) {
  const int64_t q_columns = shard.heads.count * config.head_dim;
  const int64_t kv_columns = shard.kv_heads.count * config.head_dim;
  const bool gathers_logits = !shard.IsWhole() && shard.rank == 0;
  return memory.LayOut(device, {{&residual, num_tokens, config.hidden_size},
                                 {&normed, num_tokens, config.hidden_size},
                                 {&qkv, num_tokens, q_columns + 2 * kv_columns},
                                 {&attention, num_tokens, q_columns},
                                 {&gate_up, num_tokens, 2 * shard.intermediate.count},
                                 {&mlp, num_tokens, shard.intermediate.count},
                                 {&projected, num_tokens, config.hidden_size},
                                 {&last, kMaxLogitRows, config.hidden_size},
                                 {&logits_part, kMaxLogitRows, shard.vocabulary.count},
                                 {&logits, gathers_logits ? kMaxLogitRows : 0, config.vocab_size}});
}

}  // namespace autoglm
