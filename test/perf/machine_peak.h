#ifndef AUTOGLM_TEST_PERF_MACHINE_PEAK_H_
#define AUTOGLM_TEST_PERF_MACHINE_PEAK_H_

#include <functional>

namespace autoglm::perf {

// Runs work(thread) on `num_threads` threads and returns the seconds of the fastest of several
// runs.
double BestSeconds(int num_threads, const std::function<void(int)>& work);

// Peak speed of the machine, all threads together.
struct MachinePeak {
  int num_threads;
  double bytes_per_second;  // reading memory far beyond the caches
  double flops_per_second;  // float32 multiply-adds with the widest vectors, two operations each
  // Products of bfloat16 and of bytes, two operations each; 0 if the processor has no instruction.
  double bfloat16_flops_per_second;
  double int8_ops_per_second;
};

MachinePeak MeasurePeak(int num_threads);

}  // namespace autoglm::perf

#endif  // AUTOGLM_TEST_PERF_MACHINE_PEAK_H_
