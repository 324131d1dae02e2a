#ifndef AUTOGLM_KERNELS_CPU_CPU_CONTEXT_H_
#define AUTOGLM_KERNELS_CPU_CPU_CONTEXT_H_

#include <algorithm>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/ops.h"
#include "kernels/sampling/sampler.h"

namespace autoglm::cpu {

// A row operation over fewer values ends before another thread would wake.
inline constexpr int64_t kMinValuesPerTask = 8192;

inline int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

class CpuContext final : public OpsContext {
 public:
  CpuContext(const kernels::CpuKernels& kernels, const std::vector<int>& cores)
      : kernels_(kernels), threads_(cores) {}

  ThreadPool& threads() override { return threads_; }
  const kernels::CpuKernels& kernels() const { return kernels_; }

  // The bfloat16 copy of a gemm's input. Packing a weight sets its size.
  DeviceBuffer gemm_input;
  // Scratch of the sampler, one list for each row of logits.
  std::vector<std::vector<Candidate>> sample_candidates;

  // Calls body(begin, count) on consecutive ranges of 0..num_rows - 1 that together cover it.
  template <typename Body>
  void ForRows(int64_t num_rows, int64_t values_per_row, const Body& body) {
    const int64_t min_rows = kMinValuesPerTask / std::max<int64_t>(values_per_row, 1) + 1;
    const int64_t even_rows = DivideUp(num_rows, 2 * threads_.num_threads());
    const int64_t rows = std::max(min_rows, even_rows);
    threads_.ParallelFor(DivideUp(num_rows, rows), [&](int64_t task) {
      const int64_t begin = task * rows;
      body(begin, std::min(rows, num_rows - begin));
    });
  }

 private:
  const kernels::CpuKernels kernels_;
  ThreadPool threads_;
};

inline CpuContext& Cpu(OpsContext& context) { return static_cast<CpuContext&>(context); }

}  // namespace autoglm::cpu

#endif  // AUTOGLM_KERNELS_CPU_CPU_CONTEXT_H_
