#include "gpu/gpu_peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <utility>

#include "kernels/cuda/simt.h"

namespace autoglm::perf {
namespace {

using cuda::Dim3;
using cuda::Stream;
using cuda::Vec;

constexpr int kNumRounds = 5;
constexpr size_t kCopiedBytes = size_t{1} << 29;

struct CopyRows {
  struct Args {
    const Vec<float, 4>* from;
    Vec<float, 4>* to;
    int64_t count;
  };
  static constexpr int kThreads = 512;

  SIMT_DEVICE void operator()(const Args& args) const {
    const int64_t stride = int64_t{kThreads} * cuda::BlockCount().x;
    const int64_t first = int64_t{kThreads} * cuda::BlockIndex().x + cuda::ThreadIndex();
    for (int64_t i = first; i < args.count; i += stride) args.to[i] = args.from[i];
  }
};

// Multiplies registers: eight sums beside each other hide the latency of a product.
template <typename Number>
struct MultiplyRegisters {
  struct Args {
    Number* sums;  // [blocks, kThreads], so that nothing is optimised away
    int num_turns;
  };
  static constexpr int kThreads = 256;
  static constexpr int kNumSums = 8;

  SIMT_DEVICE void operator()(const Args& args) const {
    const uint32_t seed = static_cast<uint32_t>(cuda::ThreadIndex());
    const uint32_t a[4] = {seed, seed + 1, seed + 2, seed + 3};
    const uint32_t b[2] = {seed + 4, seed + 5};
    Number sums[kNumSums][4] = {};
    for (int turn = 0; turn < args.num_turns; ++turn) {
#pragma unroll
      for (int i = 0; i < kNumSums; ++i) {
        if constexpr (std::is_same_v<Number, float>) {
          cuda::MmaBf16(sums[i], a, b);
        } else {
          cuda::MmaInt8(sums[i], a, b);
        }
      }
    }
    Number total = 0;
#pragma unroll
    for (int i = 0; i < kNumSums; ++i) total += sums[i][0] + sums[i][1] + sums[i][2] + sums[i][3];
    args.sums[int64_t{kThreads} * cuda::BlockIndex().x + cuda::ThreadIndex()] = total;
  }
};

// Returns the seconds of the fastest of several runs, after one that warms up.
template <typename Work>
double BestSeconds(Stream& stream, const Work& work) {
  double best = 1e30;
  for (int round = 0; round <= kNumRounds; ++round) {
    stream.Synchronize();
    const auto start = std::chrono::steady_clock::now();
    work();
    stream.Synchronize();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (round > 0) best = std::min(best, seconds.count());
  }
  return best;
}

DeviceBuffer Take(Stream& stream, size_t bytes) {
  Result<DeviceBuffer> memory = stream.Allocate(bytes);
  if (!memory.ok()) {
    std::fprintf(stderr, "%s\n", memory.status().message().c_str());
    std::exit(1);
  }
  return std::move(memory.value());
}

double CopySpeed(Stream& stream) {
  constexpr int kNumCopies = 8;
  const DeviceBuffer from = Take(stream, kCopiedBytes);
  const DeviceBuffer to = Take(stream, kCopiedBytes);
  stream.Clear(from.data(), kCopiedBytes);
  const CopyRows::Args args = {from.as<Vec<float, 4>>(), to.as<Vec<float, 4>>(),
                               static_cast<int64_t>(kCopiedBytes / sizeof(Vec<float, 4>))};
  const Dim3 grid = {.x = 8 * stream.properties().num_multiprocessors};
  const double seconds = BestSeconds(stream, [&] {
    for (int i = 0; i < kNumCopies; ++i) cuda::Launch<CopyRows>(stream, grid, 0, args);
  });
  return 2.0 * kNumCopies * static_cast<double>(kCopiedBytes) / seconds;
}

// Returns operations a second of products with `ops` operations a warp each.
template <typename Number>
double ProductSpeed(Stream& stream, double ops) {
  using Kernel = MultiplyRegisters<Number>;
  constexpr int kNumTurns = 1 << 15;
  const Dim3 grid = {.x = 4 * stream.properties().num_multiprocessors};
  const double num_warps = static_cast<double>(grid.x) * Kernel::kThreads / cuda::kWarpSize;
  const DeviceBuffer sums =
      Take(stream, static_cast<size_t>(grid.x) * Kernel::kThreads * sizeof(Number));
  const double seconds = BestSeconds(stream, [&] {
    cuda::Launch<Kernel>(stream, grid, 0, {sums.template as<Number>(), kNumTurns});
  });
  return num_warps * kNumTurns * Kernel::kNumSums * ops / seconds;
}

}  // namespace

GpuPeak MeasureGpuPeak(Stream& stream) {
  return {CopySpeed(stream), ProductSpeed<float>(stream, 2.0 * 16 * 8 * 16),
          ProductSpeed<int>(stream, 2.0 * 16 * 8 * 32)};
}

}  // namespace autoglm::perf
