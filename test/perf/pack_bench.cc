// Measures how fast weights are packed at every level that the machine has, against copying memory
// in the same run: pack_bench. All cores of the process take part.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "large_buffer.h"

namespace autoglm::perf {
namespace {

// The shape of GLM-4-9B's largest matrix, gate_up_proj.
constexpr int64_t kColumns = 27392, kDepth = 4096;
constexpr int kNumRuns = 5;

template <typename Work>
double FastestSeconds(const Work& work) {
  double fastest = 1e9;
  for (int run = 0; run < kNumRuns; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    fastest = std::min(fastest, taken.count());
  }
  return fastest;
}

// Returns the bytes that a copy reads and writes in a second, on all threads.
double MeasureCopy(ThreadPool& threads) {
  constexpr int64_t kPiece = int64_t{1} << 20;
  constexpr int64_t kPieces = 256;
  const LargeBuffer from(kPiece * kPieces), to(kPiece * kPieces);
  std::memset(from.data(), 1, from.bytes());
  const double seconds = FastestSeconds([&] {
    threads.ParallelFor(kPieces, [&](int64_t i) {
      std::memcpy(to.data() + i * kPiece, from.data() + i * kPiece, kPiece);
    });
  });
  return 2.0 * static_cast<double>(from.bytes()) / seconds;
}

struct PackCase {
  const char* source;  // what the checkpoint has
  WeightRows rows;
  size_t source_bytes;
  WeightFormat format;
};

void BenchPack(const Device& device, const char* isa, const PackCase& pack, double copy_rate) {
  const WeightShape shape = {pack.format, kColumns, kDepth};
  const LargeBuffer packed(device.ops->packed_bytes(*device.context, shape));
  const double seconds = FastestSeconds([&] {
    const Status status =
        device.ops->pack(*device.context, {{&pack.rows, 1}, shape, packed.data()});
    if (!status.ok()) std::abort();
  });
  const double bytes = static_cast<double>(pack.source_bytes + packed.bytes());
  std::printf("%-10s %-9s to %-18s %6.2f GB/s %4.0f %% of a copy, %5.2f ns a weight\n", isa,
              pack.source,
              (std::string(WeightFormatName(pack.format)) +
               (pack.format.quantizes_input ? " (inputs too)" : ""))
                  .c_str(),
              bytes / seconds * 1e-9, 100.0 * bytes / seconds / copy_rate,
              seconds / static_cast<double>(kColumns * kDepth) * 1e9);
}

void BenchLevel(const kernels::KernelLevel& level) {
  const Device device = cpu::OpenCpu(level.kernels, {});
  const char* isa = kernels::IsaName(level.level);
  const double copy_rate = MeasureCopy(device.context->threads());
  std::printf("%-10s copy %.2f GB/s, read and written, %d threads\n", isa, copy_rate * 1e-9,
              device.context->threads().num_threads());

  constexpr size_t kCount = static_cast<size_t>(kColumns * kDepth);
  const LargeBuffer values(4 * kCount);
  std::memset(values.data(), 0x3c, values.bytes());  // a number of ordinary size in every type
  const auto floats = [&](Dtype dtype) {
    return WeightRows{values.data(), dtype, kColumns};
  };
  const std::vector<float> scales(kCount / 32, 1.0f);
  const std::vector<int8_t> zeros(kCount / 32, 1);
  const WeightRows integers = {nullptr, Dtype::kFloat32, kColumns,
                               {reinterpret_cast<const int8_t*>(values.data()), scales.data(),
                                zeros.data()}};
  const Dtype f32 = Dtype::kFloat32, f16 = Dtype::kFloat16, bf16 = Dtype::kBfloat16;
  const WeightFormat int8 = {.type = WeightType::kInt8, .quantizes_input = true};
  const WeightFormat int4 = {.type = WeightType::kInt4, .group_size = 128, .scale_dtype = bf16};
  WeightFormat int4_zeros = int4;
  int4_zeros.has_zero_points = true;
  for (const PackCase& pack : {PackCase{"bfloat16", floats(bf16), 2 * kCount, PlainFormat(bf16)},
                               PackCase{"float16", floats(f16), 2 * kCount, PlainFormat(f16)},
                               PackCase{"float32", floats(f32), 4 * kCount, PlainFormat(f32)},
                               PackCase{"float32", floats(f32), 4 * kCount, PlainFormat(bf16)},
                               PackCase{"bfloat16", floats(bf16), 2 * kCount, int8},
                               PackCase{"bfloat16", floats(bf16), 2 * kCount, int4},
                               PackCase{"int8", integers, kCount, int8},
                               PackCase{"int4", integers, kCount, int4},
                               PackCase{"int4", integers, kCount, int4_zeros}}) {
    BenchPack(device, isa, pack, copy_rate);
  }
}

}  // namespace
}  // namespace autoglm::perf

int main() {
  using namespace autoglm;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  for (const kernels::KernelLevel& level : kernels::SupportedLevels()) {
    if (level.level != kernels::IsaLevel::kReference) perf::BenchLevel(level);
  }
  return 0;
}
