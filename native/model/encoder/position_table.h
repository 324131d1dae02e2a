#ifndef AUTOGLM_MODEL_POSITION_TABLE_H_
#define AUTOGLM_MODEL_POSITION_TABLE_H_

#include <cstdint>
#include <vector>

#include "device/thread_pool.h"
#include "model/preprocess/image_preprocess.h"

namespace autoglm {

// Learned position embeddings of a square of patches, read at any grid size by bicubic
// interpolation as torch's grid_sample does (a = -0.75, pixel centres, border values repeated, no
// antialiasing).
class PositionTable {
 public:
  // Takes the learned table [side * side, width], row-major.
  PositionTable(std::vector<float> table, int64_t width);

  int64_t width() const { return width_; }

  // Writes positions: host memory [grid cells, width], in merge order.
  void Interpolate(const Grid& grid, int64_t merge_size, ThreadPool& threads,
                   float* positions) const;

 private:
  // Places in the table that one row or column of patches reads, with their weights.
  struct Taps {
    int64_t index[4];
    float weight[4];
  };

  Taps TapsAt(int64_t index, int64_t extent) const;
  // Blends rows of the table to the height of one row of patches: [side, width].
  void BlendRows(const Taps& taps, float* blended) const;

  int64_t width_;
  int64_t side_;
  std::vector<float> table_;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_POSITION_TABLE_H_
