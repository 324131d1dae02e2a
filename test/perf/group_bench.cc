// Measures how long a sum over the ranks of a group of CPUs takes:
//
//   group_bench [device...]     such as group_bench cpu:0 cpu:1, which is the default
//
// All ranks sum again and again, as the layers of a step do.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "device/device_id.h"
#include "device/pin_thread.h"
#include "kernels/group/device_group.h"
#include "kernels/group/rank_threads.h"

namespace autoglm {
namespace {

constexpr int kRounds = 5;

// Returns the median of rounds of the mean time of a sum of `count` values, in microseconds.
double MicrosecondsOfSum(const std::vector<DeviceId>& devices, int64_t count, int64_t times) {
  const int num_ranks = static_cast<int>(devices.size());
  DeviceGroup group(num_ranks);
  std::vector<double> rounds;
  RankThreads threads(num_ranks);
  threads.Run([&](int rank) {
    const std::vector<int>& cores = devices[static_cast<size_t>(rank)].cores;
    if (!cores.empty()) PinCallingThread(cores[0]);
    ThreadPool pool(cores);
    std::vector<float> values(static_cast<size_t>(count));
    for (int round = 0; round < kRounds; ++round) {
      const auto start = std::chrono::steady_clock::now();
      for (int64_t i = 0; i < times; ++i) group.Sum(rank, values, pool);
      const std::chrono::duration<double, std::micro> taken =
          std::chrono::steady_clock::now() - start;
      if (rank == 0) rounds.push_back(taken.count() / static_cast<double>(times));
    }
  });
  std::sort(rounds.begin(), rounds.end());
  return rounds[kRounds / 2];
}

int Run(const std::vector<std::string>& names) {
  std::vector<DeviceId> devices;
  for (const std::string& name : names) {
    const Result<DeviceId> device = ParseDeviceId(name);
    if (!device.ok()) {
      std::fprintf(stderr, "group_bench: %s\n", device.status().message().c_str());
      return 2;
    }
    devices.push_back(device.value());
  }
  const Status group = CheckDeviceGroup(devices);
  if (!group.ok()) {
    std::fprintf(stderr, "group_bench: %s\n", group.message().c_str());
    return 2;
  }
  for (const int64_t count : {int64_t{1}, int64_t{4096}, int64_t{64 * 4096}, int64_t{512 * 4096}}) {
    const int64_t times = std::max<int64_t>(20, (int64_t{1} << 26) / (count + 4096));
    std::printf("sum of %lld values over %zu ranks: %.2f us\n", static_cast<long long>(count),
                devices.size(), MicrosecondsOfSum(devices, count, times));
  }
  return 0;
}

}  // namespace
}  // namespace autoglm

int main(int argc, char** argv) {
  std::vector<std::string> names(argv + 1, argv + argc);
  if (names.empty()) names = {"cpu:0", "cpu:1"};
  return autoglm::Run(names);
}
