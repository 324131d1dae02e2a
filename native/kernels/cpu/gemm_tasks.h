#ifndef AUTOGLM_KERNELS_CPU_GEMM_TASKS_H_
#define AUTOGLM_KERNELS_CPU_GEMM_TASKS_H_

#include <cstdint>

#include "kernels/cpu/cpu_context.h"
#include "kernels/cpu/gemm_input.h"
#include "kernels/kernels.h"
#include "kernels/ops.h"

namespace autoglm::cpu {

// Where a part of a product lies: rows of the input times consecutive columns of the output, which are whole
// panels of the weight but for the last.
struct GemmPart {
  int64_t row;
  int64_t num_rows;
  int64_t column;
  int64_t num_columns;
};

// How a product is divided into tasks: blocks of rows times groups of panels.
class GemmTasks {
 public:
  // Divides a product of so many rows with a weight into parts of at most `largest`.
  GemmTasks(CpuContext& cpu, const WeightShape& weight, int64_t num_rows,
            const kernels::GemmTask& largest);

  int64_t num_tasks() const { return num_groups_ * num_row_blocks_; }
  GemmPart PartOf(int64_t task) const;

 private:
  const int64_t num_rows_;
  const int64_t num_columns_;
  const int64_t panel_width_;
  const int64_t num_panels_;
  int64_t rows_per_block_;
  int64_t num_row_blocks_;
  int64_t num_groups_;
  // Consecutive tasks share their rows, and each thread begins with rows of its own; otherwise they share
  // their panels, so that a panel is read from memory once.
  bool is_by_rows_;
};

// Where a part's results go, and the bias of all columns.
struct GemmOutput {
  float* y;  // [num_rows, num_columns] of the part
  int64_t stride;
  const float* bias;  // [columns] of the weight, or null
};

// Computes a part of y = x * transpose(weight) + bias on a thread.
void MultiplyPart(const CpuContext& cpu, const PackedMatrix& weight, const GemmInput& x,
                  const GemmPart& part, const GemmOutput& output, int thread);

}  // namespace autoglm::cpu

#endif  // AUTOGLM_KERNELS_CPU_GEMM_TASKS_H_
