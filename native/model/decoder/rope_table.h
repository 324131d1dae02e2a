#ifndef AUTOGLM_MODEL_ROPE_TABLE_H_
#define AUTOGLM_MODEL_ROPE_TABLE_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "device/thread_pool.h"
#include "model/decoder/decoder_config.h"

namespace autoglm {

// Cosines and sines of the rotary angles of positions 0 to num_positions - 1, in host memory.
class RopeTable {
 public:
  RopeTable(const DecoderConfig& config, int64_t num_positions, ThreadPool& threads);

  // Writes the angles of the tokens of a step: pair i of token n turns with positions[axis_[i]][n].
  // positions [3, num_tokens]; cos and sin [num_tokens, num_pairs].
  void Lookup(std::span<const int32_t> positions, float* cos, float* sin) const;

  int64_t num_positions() const { return num_positions_; }
  int64_t num_pairs() const { return num_pairs_; }

 private:
  int64_t num_positions_;
  int64_t num_pairs_;
  std::vector<int> axis_;   // [num_pairs]: 0 time, 1 height, 2 width
  std::vector<float> cos_;  // [num_positions, num_pairs]
  std::vector<float> sin_;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_ROPE_TABLE_H_
