// Speed of the kernels at every level the machine has, against its measured memory bandwidth and
// arithmetic peak: kernels_bench [number of threads].

#include <immintrin.h>
#include <sys/mman.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "kernels/dispatch.h"

namespace autoglm::kernels {
namespace {

using Clock = std::chrono::steady_clock;

// Zeroed memory with huge pages where the system grants them, as the weights have.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : bytes_(bytes) {
    data_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) std::abort();
    madvise(data_, bytes, MADV_HUGEPAGE);
  }
  ~Buffer() { munmap(data_, bytes_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  char* data() const { return static_cast<char*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  void* data_;
  size_t bytes_;
};

// Runs work(thread) on all threads and waits.
void RunOnAll(int num_threads, const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int i = 1; i < num_threads; ++i) threads.emplace_back(work, i);
  work(0);
  for (std::thread& thread : threads) thread.join();
}

// Seconds of the fastest of several runs.
double BestSeconds(int num_threads, const std::function<void(int)>& work) {
  constexpr int kRuns = 5;
  double best = 1e30;
  for (int run = 0; run < kRuns; ++run) {
    const Clock::time_point begin = Clock::now();
    RunOnAll(num_threads, work);
    const std::chrono::duration<double> elapsed = Clock::now() - begin;
    if (elapsed.count() < best) best = elapsed.count();
  }
  return best;
}

volatile float g_sink;  // keeps measured loops from being removed

// Bytes per second of reading memory far beyond the caches, each thread its part.
double MeasureBandwidth(int num_threads) {
  const Buffer buffer(size_t{1} << 29);
  const size_t part = buffer.bytes() / static_cast<size_t>(num_threads) / 64 * 64;
  for (size_t i = 0; i < buffer.bytes(); i += 4096) buffer.data()[i] = 1;
  const double seconds = BestSeconds(num_threads, [&](int thread) {
    const float* p =
        reinterpret_cast<const float*>(buffer.data() + static_cast<size_t>(thread) * part);
    __m128 sums[4] = {};
    for (size_t i = 0; i < part / sizeof(float); i += 16) {
      for (size_t v = 0; v < 4; ++v) sums[v] = _mm_add_ps(sums[v], _mm_load_ps(p + i + 4 * v));
    }
    g_sink = _mm_cvtss_f32(_mm_add_ps(_mm_add_ps(sums[0], sums[1]), _mm_add_ps(sums[2], sums[3])));
  });
  return static_cast<double>(part) * num_threads / seconds;
}

constexpr int64_t kPeakSteps = 20'000'000;
constexpr int kPeakChains = 12;

__attribute__((target("avx2,fma"))) void SpinAvx2() {
  __m256 sums[kPeakChains];
  for (int c = 0; c < kPeakChains; ++c) sums[c] = _mm256_set1_ps(static_cast<float>(c));
  const __m256 a = _mm256_set1_ps(0.5f);
  for (int64_t i = 0; i < kPeakSteps; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kPeakChains; ++c) sums[c] = _mm256_fmadd_ps(sums[c], a, a);
  }
  for (const __m256& sum : sums) g_sink = _mm256_cvtss_f32(sum);
}

__attribute__((target("avx512f"))) void SpinAvx512() {
  __m512 sums[kPeakChains];
  for (int c = 0; c < kPeakChains; ++c) sums[c] = _mm512_set1_ps(static_cast<float>(c));
  const __m512 a = _mm512_set1_ps(0.5f);
  for (int64_t i = 0; i < kPeakSteps; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kPeakChains; ++c) sums[c] = _mm512_fmadd_ps(sums[c], a, a);
  }
  for (const __m512& sum : sums) g_sink = _mm512_cvtss_f32(sum);
}

// Float32 operations per second of independent fused multiply-adds, with the widest vectors.
double MeasurePeak(int num_threads) {
  const bool wide = __builtin_cpu_supports("avx512f");
  if (!wide && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) return 0.0;
  const double seconds = BestSeconds(num_threads, [&](int) { wide ? SpinAvx512() : SpinAvx2(); });
  return 2.0 * (wide ? 16 : 8) * kPeakChains * static_cast<double>(kPeakSteps) * num_threads /
         seconds;
}

struct Machine {
  int num_threads;
  double bytes_per_second;
  double flops_per_second;
};

void PrintRate(const char* isa, const char* what, double rate, const char* unit, double peak) {
  std::printf("%-10s %-44s %9.2f %s", isa, what, rate * 1e-9, unit);
  if (peak > 0.0) std::printf("  %3.0f %%", 100.0 * rate / peak);
  std::printf("\n");
}

struct GemmShape {
  Dtype dtype;
  Dtype x_dtype;
  int64_t num_rows;
  int64_t depth;
  int64_t num_columns;
};

// Products of `shape` against enough weights that none stays in the caches between runs.
void BenchGemm(const Machine& machine, const GemmKernels& gemm, const GemmShape& shape) {
  const size_t panel_bytes = gemm.panel_bytes(shape.dtype, shape.depth);
  const int64_t num_panels = shape.num_columns / gemm.panel_width;
  const Buffer panels(panel_bytes * static_cast<size_t>(num_panels));
  // 0x3c3c is a number of ordinary size in every type.
  std::memset(panels.data(), 0x3c, panels.bytes());
  const Buffer x(static_cast<size_t>(shape.num_rows * shape.depth) * sizeof(float));
  std::memset(x.data(), 0x3c, x.bytes());
  const Buffer y(static_cast<size_t>(shape.num_rows * shape.num_columns) * sizeof(float));
  const int64_t part = num_panels / machine.num_threads;
  const auto multiply = [&](int thread) {
    const int64_t panel = part * thread;
    gemm.multiply({.x_dtype = shape.x_dtype,
                   .x = x.data(),
                   .x_stride = shape.depth,
                   .num_rows = shape.num_rows,
                   .depth = shape.depth,
                   .weight_dtype = shape.dtype,
                   .panels = panels.data() + static_cast<size_t>(panel) * panel_bytes,
                   .bias = nullptr,
                   .y = reinterpret_cast<float*>(y.data()) + panel * gemm.panel_width,
                   .y_stride = shape.num_columns,
                   .num_columns = part * gemm.panel_width});
  };
  const double seconds = BestSeconds(machine.num_threads, multiply);
  char what[96];
  std::snprintf(what, sizeof(what), "gemm %s x %s %ldx%ldx%ld", DtypeName(shape.x_dtype),
                DtypeName(shape.dtype), static_cast<long>(shape.num_rows),
                static_cast<long>(shape.depth), static_cast<long>(shape.num_columns));
  const double num_weights = static_cast<double>(shape.depth) * static_cast<double>(
                                 part * gemm.panel_width * machine.num_threads);
  if (shape.num_rows < 8) {
    const double bytes = static_cast<double>(panel_bytes) * static_cast<double>(part) *
                         machine.num_threads;
    PrintRate(gemm.isa, what, bytes / seconds, "GB/s   ", machine.bytes_per_second);
  } else {
    const double flops = 2.0 * num_weights * static_cast<double>(shape.num_rows);
    PrintRate(gemm.isa, what, flops / seconds, "GFLOP/s", machine.flops_per_second);
  }
}

void BenchLevel(const Machine& machine, const CpuKernels& kernels, bool is_reference) {
  const int64_t prefill_rows = is_reference ? 8 : 256;
  for (const Dtype dtype : {Dtype::kBfloat16, Dtype::kFloat16, Dtype::kFloat32}) {
    BenchGemm(machine, kernels.gemm, {dtype, Dtype::kFloat32, 1, 4096, 27392});
  }
  BenchGemm(machine, kernels.gemm, {Dtype::kBfloat16, Dtype::kFloat32, 4, 4096, 27392});
  BenchGemm(machine, kernels.gemm, {Dtype::kBfloat16, Dtype::kFloat32, 64, 4096, 4096});
  for (const Dtype dtype : {Dtype::kBfloat16, Dtype::kFloat16, Dtype::kFloat32}) {
    BenchGemm(machine, kernels.gemm, {dtype, Dtype::kFloat32, prefill_rows, 4096, 4096});
  }
  BenchGemm(machine, kernels.gemm, {Dtype::kBfloat16, Dtype::kBfloat16, prefill_rows, 4096, 4096});
  BenchGemm(machine, kernels.gemm, {Dtype::kBfloat16, Dtype::kFloat32, prefill_rows, 13696, 4096});
}

}  // namespace
}  // namespace autoglm::kernels

int main(int argc, char** argv) {
  using namespace autoglm::kernels;
  Machine machine = {argc > 1 ? std::atoi(argv[1]) : static_cast<int>(std::thread::hardware_concurrency()), 0.0, 0.0};
  machine.bytes_per_second = MeasureBandwidth(machine.num_threads);
  machine.flops_per_second = MeasurePeak(machine.num_threads);
  std::printf("%d threads, %.1f GB/s read, %.0f GFLOP/s float32 peak\n", machine.num_threads,
              machine.bytes_per_second * 1e-9, machine.flops_per_second * 1e-9);
  for (const KernelLevel& level : SupportedLevels()) {
    if (level.level != IsaLevel::kReference) BenchLevel(machine, level.kernels, false);
  }
  return 0;
}
