#ifndef AUTOGLM_MODEL_DECODER_ACTIVATIONS_H_
#define AUTOGLM_MODEL_DECODER_ACTIVATIONS_H_

#include <cstdint>

#include "base/status.h"
#include "base/tensor_view.h"
#include "kernels/ops.h"
#include "model/decoder/decoder_config.h"
#include "model/decoder/decoder_shard.h"
#include "model/layers/workspace.h"

namespace autoglm {

// Most rows of logits that exist at once. A step with more outputs computes them in several turns.
inline constexpr int64_t kMaxLogitRows = 64;

// Matrices that the operations of a step pass to each other, float32. Widths of heads and of the MLP
// are those of the rank's shard.
struct DecoderActivations {
  MatrixView residual;   // [num_tokens, hidden_size]
  MatrixView normed;     // [num_tokens, hidden_size]: input of attention and of the MLP
  MatrixView qkv;        // [num_tokens, (num_heads + 2 * num_kv_heads) * head_dim]
  MatrixView attention;  // [num_tokens, num_heads * head_dim]
  MatrixView gate_up;    // [num_tokens, 2 * intermediate_size]
  MatrixView mlp;        // [num_tokens, intermediate_size]
  MatrixView projected;  // [num_tokens, hidden_size]: output of attention and of the MLP
  MatrixView last;       // [kMaxLogitRows, hidden_size]: rows on their way to the head
  // [kMaxLogitRows, vocab_size of the shard]
  MatrixView logits_part;
  MatrixView logits;     // [kMaxLogitRows, vocab_size]: on rank 0 of several; otherwise empty
  Workspace memory;      // of the matrices above

  // Lays out a step of `num_tokens`; allocates only if it is the largest so far.
  Status LayOut(const Device& device, const DecoderConfig& config, const DecoderShard& shard,
                int64_t num_tokens);
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_DECODER_ACTIVATIONS_H_
