#include "gpu/group_sums.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "kernels/cuda/cuda_ops.h"
#include "kernels/group/device_group.h"
#include "kernels/group/rank_threads.h"
#include "kernels/ops.h"

namespace autoglm::perf {
namespace {

constexpr int kRounds = 7;
constexpr int kSumsPerRound = 200;
constexpr int64_t kHidden = 4096;
constexpr int64_t kRows[] = {1, 64, 2048};

template <typename T>
T Need(Result<T> result) {
  if (result.ok()) return std::move(result.value());
  std::fprintf(stderr, "gpu_bench: %s\n", result.status().message().c_str());
  std::exit(1);
}

// Returns the median of the rounds' mean times of a sum, in microseconds. All ranks call it.
double MicrosecondsOfSum(const Device& device, const MatrixView& x) {
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) {
    device.ops->finish(*device.context);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kSumsPerRound; ++i) device.ops->all_reduce(*device.context, {x});
    device.ops->finish(*device.context);
    const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - start;
    rounds.push_back(taken.count() / kSumsPerRound);
  }
  std::sort(rounds.begin(), rounds.end());
  return rounds[kRounds / 2];
}

}  // namespace

GroupSums MeasureGroupSums(const std::vector<DeviceId>& gpus) {
  const int num_ranks = static_cast<int>(gpus.size());
  DeviceGroup group(num_ranks);
  std::vector<GroupRank> places;
  for (int rank = 0; rank < num_ranks; ++rank) places.push_back({&group, rank});
  std::vector<Device> devices(gpus.size());
  GroupSums sums;
  RankThreads threads(num_ranks);
  threads.Run([&](int rank) {
    const size_t i = static_cast<size_t>(rank);
    Device& device = devices[i];
    device = Need(cuda::OpenCuda(gpus[i]));
    const GroupPath path = Need(device.ops->join_group(*device.context, places[i]));
    if (rank == 0) sums.path = path.in_words;
    const std::vector<float> zeros(static_cast<size_t>(kRows[2] * kHidden));
    const size_t bytes = zeros.size() * sizeof(float);
    const DeviceBuffer memory = Need(device.ops->allocate(*device.context, bytes));
    device.ops->copy_in(*device.context, {zeros.data(), bytes, memory.data()});
    for (const int64_t rows : kRows) {
      const MatrixView x = DenseMatrix(memory.as<float>(), rows, kHidden);
      const double microseconds = MicrosecondsOfSum(device, x);
      if (rank == 0) sums.times.push_back({rows * kHidden, microseconds});
    }
  });
  // No rank uses the memory of another any more.
  threads.Run([&](int rank) { devices[static_cast<size_t>(rank)] = Device(); });
  return sums;
}

}  // namespace autoglm::perf
