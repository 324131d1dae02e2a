#ifndef AUTOGLM_MODEL_AXIAL_ROPE_H_
#define AUTOGLM_MODEL_AXIAL_ROPE_H_

#include <cstdint>

#include "model/preprocess/image_preprocess.h"

namespace autoglm {

// Rotary angles over two axes: the first half of a head's pairs turns with the patch's row, the
// second with its column, both through the same frequencies.
struct AxialRope {
  int64_t num_pairs;  // head_dim / 2, even
  double theta;

  // Writes cos and sin: host memory [grid cells, num_pairs], in merge order.
  void Write(const Grid& grid, int64_t merge_size, float* cos, float* sin) const;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_AXIAL_ROPE_H_
