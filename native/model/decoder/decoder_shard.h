#ifndef AUTOGLM_MODEL_DECODER_SHARD_H_
#define AUTOGLM_MODEL_DECODER_SHARD_H_

#include <cstdint>

#include "base/status.h"
#include "model/checkpoint/host_weight.h"
#include "model/decoder/decoder_config.h"

namespace autoglm {

// The part of a decoder that one rank of a group holds: some heads, with the KV heads that they
// share; some of the MLP's inner width; some rows of the vocabulary. Norms are on every rank.
struct DecoderShard {
  int rank = 0;
  int num_ranks = 1;
  Slice heads = {};
  Slice kv_heads = {};  // one that others hold too, where there are fewer than ranks
  Slice intermediate = {};
  Slice vocabulary = {};

  bool IsWhole() const { return num_ranks == 1; }
  // Returns the row of the rank's embedding table for a token. Behind those of its own tokens is a row
  // of zeros for all others.
  int32_t TableRow(int32_t token_id) const {
    if (IsWhole()) return token_id;
    const int64_t row = token_id - vocabulary.first;
    return static_cast<int32_t>(row >= 0 && row < vocabulary.count ? row : vocabulary.count);
  }
};

// Divides a decoder among the ranks of a group; refuses a number of ranks that it cannot be divided
// by, and names those that it can.
Result<DecoderShard> MakeShard(const DecoderConfig& config, int rank, int num_ranks);

// Returns the shape of a rank's part.
DecoderConfig ShardConfig(const DecoderConfig& config, const DecoderShard& shard);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_DECODER_SHARD_H_
