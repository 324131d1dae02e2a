// Prints the peak speed of the machine as one JSON object: print_machine_peak [number of threads].

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "machine_peak.h"

int main(int argc, char** argv) {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  const autoglm::perf::MachinePeak peak =
      autoglm::perf::MeasurePeak(argc > 1 ? std::atoi(argv[1]) : cores);
  std::printf("{\"numThreads\":%d,\"bytesPerSecond\":%.0f,\"flopsPerSecond\":%.0f,"
              "\"bfloat16FlopsPerSecond\":%.0f,\"int8OpsPerSecond\":%.0f}\n",
              peak.num_threads, peak.bytes_per_second, peak.flops_per_second,
              peak.bfloat16_flops_per_second, peak.int8_ops_per_second);
  return 0;
}
