#ifndef AUTOGLM_KERNELS_CPU_CPU_CONTEXT_H_
#define AUTOGLM_KERNELS_CPU_CPU_CONTEXT_H_

#include <algorithm>
#include <type_traits>
#include <vector>

#include "device/device_id.h"
#include "kernels/kernels.h"
#include "kernels/ops.h"
#include "kernels/sampling/sampler.h"

namespace autoglm::cpu {

// A row operation over fewer values ends before another thread would wake.
inline constexpr int64_t kMinValuesPerTask = 8192;

inline int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

class CpuContext final : public OpsContext {
 public:
  CpuContext(const kernels::CpuKernels& kernels, const DeviceId& id)
      : kernels_(kernels), threads_(id.cores, id.max_threads) {}

  ThreadPool& threads() override { return threads_; }
  const kernels::ImageKernels& image_kernels() const override { return kernels_.image; }
  const kernels::CpuKernels& kernels() const { return kernels_; }

  // The copy of a gemm's input that is rounded to bfloat16 or to integers, and the scales of the
  // integers' rows. Packing a weight sets the size.
  DeviceBuffer gemm_input;
  DeviceBuffer gemm_input_scales;
  // Scratch of gemm, one piece for each thread.
  DeviceBuffer gemm_scratch;
  int64_t gemm_scratch_bytes = 0;  // of a thread
  // What the attention of each thread overwrites, scratch_bytes of the level one after another. The
  // system gives it memory when a thread first writes there.
  DeviceBuffer attention_scratch;
  // Scratch of the sampler, one list for each row of logits.
  std::vector<std::vector<Candidate>> sample_candidates;

  void* AttentionScratch(int thread) const {
    return attention_scratch.as<char>() +
           static_cast<size_t>(thread) * kernels_.attention.scratch_bytes;
  }

  // Calls body(begin, count), or body(begin, count, thread), on consecutive ranges of
  // 0..num_rows - 1 that together cover it.
  template <typename Body>
  void ForRows(int64_t num_rows, int64_t values_per_row, const Body& body) {
    const int64_t min_rows = std::max<int64_t>(
        kMinValuesPerTask / std::max<int64_t>(values_per_row, 1), 1);
    const int64_t even_rows = DivideUp(num_rows, 2 * threads_.num_threads());
    const int64_t rows = std::max(min_rows, even_rows);
    threads_.ParallelFor(DivideUp(num_rows, rows), [&](int64_t task, int thread) {
      const int64_t begin = task * rows;
      const int64_t count = std::min(rows, num_rows - begin);
      if constexpr (std::is_invocable_v<const Body&, int64_t, int64_t, int>) {
        body(begin, count, thread);
      } else {
        body(begin, count);
      }
    });
  }

 private:
  const kernels::CpuKernels kernels_;
  ThreadPool threads_;
};

inline CpuContext& Cpu(OpsContext& context) { return static_cast<CpuContext&>(context); }

}  // namespace autoglm::cpu

#endif  // AUTOGLM_KERNELS_CPU_CPU_CONTEXT_H_
