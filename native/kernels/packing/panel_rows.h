#ifndef AUTOGLM_KERNELS_PACKING_PANEL_ROWS_H_
#define AUTOGLM_KERNELS_PACKING_PANEL_ROWS_H_

#include <memory>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/ops.h"

namespace autoglm {

// Output columns of a weight as a kernel packs them.
struct PanelRows {
  const void* rows = nullptr;           // [count, depth]
  const float* scales = nullptr;        // [count, groups] of integers
  const int8_t* zero_points = nullptr;  // [count, groups] or null
  bool are_finite = true;               // otherwise they could not be rounded to integers

  // Memory of what could not be used in place.
  std::unique_ptr<char[]> copied_rows;
  std::vector<float> copied_scales;
  std::vector<int8_t> copied_zero_points;
};

// Finds output columns begin .. begin + count - 1 of the concatenated sources, converted or rounded
// to the format's numbers where they are others.
PanelRows CollectPanelRows(const kernels::ConvertKernels& convert, const PackOp& op, int64_t begin,
                           int64_t count);

// Says that a weight could not be rounded to integers.
Status WeightNotFinite();

// Gives back the file's pages of these columns, where a source is mapped.
void DropPackedRows(const PackOp& op, int64_t begin, int64_t count);

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_PACKING_PANEL_ROWS_H_
