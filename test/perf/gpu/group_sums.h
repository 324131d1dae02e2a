#ifndef AUTOGLM_TEST_PERF_GPU_GROUP_SUMS_H_
#define AUTOGLM_TEST_PERF_GPU_GROUP_SUMS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "device/device_id.h"

namespace autoglm::perf {

struct GroupSumTime {
  int64_t num_values;
  double microseconds;  // of one sum, of many that follow each other
};

struct GroupSums {
  std::string path;  // how the ranks meet, in words
  std::vector<GroupSumTime> times;
};

// Measures sums over a group of these GPUs, of a decode step's length and of a prefill's. Ends the
// program if a GPU cannot be opened.
GroupSums MeasureGroupSums(const std::vector<DeviceId>& gpus);

}  // namespace autoglm::perf

#endif  // AUTOGLM_TEST_PERF_GPU_GROUP_SUMS_H_
