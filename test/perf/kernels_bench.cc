// Measures the speed of the kernels at every level that the machine has, against the memory
// bandwidth and arithmetic peak of the same run: kernels_bench [number of threads].

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "kernels/dispatch.h"
#include "large_buffer.h"
#include "machine_peak.h"

namespace autoglm::perf {
namespace {

using kernels::CpuKernels;

// One figure: the work of all threads in `seconds`, and its share of the machine's limit.
struct Figure {
  std::string what;
  double amount;  // bytes or operations
  double seconds;
};

void Print(const char* isa, const Figure& figure, const char* unit, double peak) {
  const double rate = figure.amount / figure.seconds;
  std::printf("%-12s %-42s %9.2f %-8s %4.0f %%\n", isa, figure.what.c_str(), rate * 1e-9, unit,
              100.0 * rate / peak);
}

void PrintBytes(const MachinePeak& machine, const char* isa, const Figure& figure) {
  Print(isa, figure, "GB/s", machine.bytes_per_second);
}

void PrintFlops(const MachinePeak& machine, const char* isa, const Figure& figure) {
  Print(isa, figure, "GFLOP/s", machine.flops_per_second);
}

struct GemmShape {
  Dtype x_dtype;
  Dtype weight_dtype;
  int64_t num_rows;
  int64_t depth;
  int64_t num_columns;

  std::string Name() const {
    return std::string("gemm ") + DtypeName(x_dtype) + " x " + DtypeName(weight_dtype) + " " +
           std::to_string(num_rows) + "x" + std::to_string(depth) + "x" +
           std::to_string(num_columns);
  }
};

// Reading the weights limits the speed of few rows, arithmetic that of many rows.
constexpr int64_t kFewRows = 8;

// Measures gemm; each thread multiplies with its part of the panels.
void BenchGemm(const MachinePeak& machine, const CpuKernels& kernels, const GemmShape& shape) {
  const kernels::GemmKernels& gemm = kernels.gemm;
  const size_t panel_bytes = gemm.panel_bytes(PlainFormat(shape.weight_dtype), shape.depth);
  const int64_t num_panels = shape.num_columns / gemm.panel_width;
  const LargeBuffer panels(panel_bytes * static_cast<size_t>(num_panels));
  const LargeBuffer x(static_cast<size_t>(shape.num_rows * shape.depth) * sizeof(float));
  const LargeBuffer y(static_cast<size_t>(shape.num_rows * shape.num_columns) * sizeof(float));
  // 0x3c3c is a number of ordinary size in every type.
  std::memset(panels.data(), 0x3c, panels.bytes());
  std::memset(x.data(), 0x3c, x.bytes());
  const int64_t part = num_panels / machine.num_threads;

  const double seconds = BestSeconds(machine.num_threads, [&](int thread) {
    const int64_t panel = part * thread;
    gemm.multiply({.x_dtype = shape.x_dtype,
                   .x = x.data(),
                   .x_stride = shape.depth,
                   .num_rows = shape.num_rows,
                   .depth = shape.depth,
                   .format = PlainFormat(shape.weight_dtype),
                   .panels = panels.data() + static_cast<size_t>(panel) * panel_bytes,
                   .bias = nullptr,
                   .y = y.floats() + panel * gemm.panel_width,
                   .y_stride = shape.num_columns,
                   .num_columns = part * gemm.panel_width});
  });

  const double num_used = static_cast<double>(part * machine.num_threads);
  if (shape.num_rows < kFewRows) {
    PrintBytes(machine, gemm.isa,
               {shape.Name(), num_used * static_cast<double>(panel_bytes), seconds});
  } else {
    const auto products = static_cast<double>(shape.num_rows * shape.depth * gemm.panel_width);
    PrintFlops(machine, gemm.isa, {shape.Name(), 2.0 * products * num_used, seconds});
  }
}

struct AttentionCase {
  int64_t num_queries;
  int64_t num_keys;
  int64_t num_heads;  // that share one KV head
  int64_t head_dim;
};

// Measures paged attention; every thread attends to a KV head of its own in a bfloat16 cache.
void BenchPagedAttention(const MachinePeak& machine, const CpuKernels& kernels,
                         const AttentionCase& c) {
  constexpr int64_t kBlockSize = 16;
  const int64_t row = c.num_heads * c.head_dim;
  const auto threads = static_cast<size_t>(machine.num_threads);
  const LargeBuffer cache(threads * static_cast<size_t>(c.num_keys * c.head_dim) * 2 * 2);
  const LargeBuffer q(threads * static_cast<size_t>(c.num_queries * row) * sizeof(float));
  const LargeBuffer out(q.bytes());
  std::vector<int32_t> block_table;
  for (int64_t i = 0; i < c.num_keys / kBlockSize; ++i) {
    block_table.push_back(static_cast<int32_t>(i));
  }

  const double seconds = BestSeconds(machine.num_threads, [&](int thread) {
    const auto* keys =
        reinterpret_cast<const uint16_t*>(cache.data()) + 2 * thread * c.num_keys * c.head_dim;
    kernels.attention.paged({.q = q.floats() + thread * c.num_queries * row,
                             .q_stride = row,
                             .num_queries = c.num_queries,
                             .num_heads = c.num_heads,
                             .head_dim = c.head_dim,
                             .first_position = c.num_keys - c.num_queries,
                             .kv_dtype = Dtype::kBfloat16,
                             .keys = keys,
                             .values = keys + c.num_keys * c.head_dim,
                             .block_stride = kBlockSize * c.head_dim,
                             .token_stride = c.head_dim,
                             .block_size = kBlockSize,
                             .block_table = block_table.data(),
                             .scale = 0.1f,
                             .out = out.floats() + thread * c.num_queries * row,
                             .out_stride = row});
  });

  const double pairs = static_cast<double>(c.num_queries) *
                       (static_cast<double>(c.num_keys) - 0.5 * static_cast<double>(c.num_queries));
  PrintFlops(machine, kernels.attention.isa,
             {"paged attention " + std::to_string(c.num_queries) + " of " +
                  std::to_string(c.num_keys) + ", " + std::to_string(c.num_heads) + " heads",
              4.0 * pairs * static_cast<double>(row) * machine.num_threads, seconds});
}

// Measures full attention; every thread takes a head of its own, and keys and values lie as in the
// output of a fused projection.
void BenchFullAttention(const MachinePeak& machine, const CpuKernels& kernels,
                        const AttentionCase& c) {
  const int64_t stride = 3 * c.head_dim * machine.num_threads;
  const LargeBuffer qkv(static_cast<size_t>(c.num_keys * stride) * sizeof(float));
  const LargeBuffer out(qkv.bytes());

  const double seconds = BestSeconds(machine.num_threads, [&](int thread) {
    const float* q = qkv.floats() + thread * c.head_dim;
    kernels.attention.full({.q = q,
                            .q_stride = stride,
                            .num_queries = c.num_queries,
                            .keys = q + machine.num_threads * c.head_dim,
                            .values = q + 2 * machine.num_threads * c.head_dim,
                            .kv_stride = stride,
                            .num_keys = c.num_keys,
                            .head_dim = c.head_dim,
                            .scale = 0.1f,
                            .relative_q = nullptr,
                            .relative_keys = nullptr,
                            .relative_stride = 0,
                            .first_query = 0,
                            .out = out.floats() + thread * c.head_dim,
                            .out_stride = stride});
  });

  const auto pairs = static_cast<double>(c.num_queries * c.num_keys);
  PrintFlops(machine, kernels.attention.isa,
             {"full attention " + std::to_string(c.num_queries) + " of " +
                  std::to_string(c.num_keys) + ", width " + std::to_string(c.head_dim),
              4.0 * pairs * static_cast<double>(c.head_dim) * machine.num_threads, seconds});
}

// Measures row-wise kernels on rows of the GLM-4-9B shapes: bytes read and written.
void BenchRows(const MachinePeak& machine, const CpuKernels& kernels) {
  constexpr int64_t kNumRows = 64, kHidden = 4096, kWidth = 13696, kVocabulary = 151552;
  const LargeBuffer x(static_cast<size_t>(machine.num_threads * kNumRows * 2 * kWidth) *
                      sizeof(float));
  const LargeBuffer y(x.bytes());
  const auto part = [&](const LargeBuffer& buffer, int thread) {
    return buffer.floats() + thread * kNumRows * 2 * kWidth;
  };
  const auto print = [&](const char* isa, const char* what, int64_t values, double seconds) {
    PrintBytes(machine, isa,
               {what, static_cast<double>(values) * sizeof(float) * machine.num_threads, seconds});
  };

  double seconds = BestSeconds(machine.num_threads, [&](int thread) {
    kernels.activation.silu_mul(
        {part(x, thread), 2 * kWidth, kNumRows, kWidth, part(y, thread), kWidth});
  });
  print(kernels.activation.isa, "silu_mul 64x13696", 3 * kNumRows * kWidth, seconds);

  seconds = BestSeconds(machine.num_threads, [&](int thread) {
    kernels.activation.gelu_erf(part(x, thread), part(y, thread), kNumRows * kWidth);
  });
  print(kernels.activation.isa, "gelu_erf 64x13696", 2 * kNumRows * kWidth, seconds);

  seconds = BestSeconds(machine.num_threads, [&](int thread) {
    kernels.norm.rms_norm_residual({part(x, thread), kHidden, kNumRows, kHidden, part(x, 0),
                                    nullptr, 1e-5f, part(y, thread), kHidden});
  });
  print(kernels.norm.isa, "rms_norm_residual 64x4096", 3 * kNumRows * kHidden, seconds);

  seconds = BestSeconds(machine.num_threads, [&](int thread) {
    part(y, thread)[0] = kernels.logits.log_sum_exp(part(x, thread), kVocabulary);
  });
  print(kernels.logits.isa, "log_sum_exp 151552", kVocabulary, seconds);

  seconds = BestSeconds(machine.num_threads, [&](int thread) {
    part(y, thread)[0] = static_cast<float>(kernels.logits.argmax(part(x, thread), kVocabulary));
  });
  print(kernels.logits.isa, "argmax 151552", kVocabulary, seconds);
}

// Measures one level; `scale` divides its work, because the reference is a hundred times slower.
void BenchLevel(const MachinePeak& machine, const CpuKernels& kernels, int64_t scale) {
  const auto f32 = Dtype::kFloat32, bf16 = Dtype::kBfloat16, f16 = Dtype::kFloat16;
  const int64_t wide = 27392 / scale, many = 256 / scale;
  BenchGemm(machine, kernels, {f32, bf16, 1, 4096, wide});
  BenchGemm(machine, kernels, {f32, f16, 1, 4096, wide});
  BenchGemm(machine, kernels, {f32, f32, 1, 4096, wide});
  BenchGemm(machine, kernels, {bf16, bf16, 1, 4096, wide});
  BenchGemm(machine, kernels, {f32, bf16, 4, 4096, wide});
  BenchGemm(machine, kernels, {f32, bf16, 64 / (scale > 1 ? 8 : 1), 4096, 4096});
  BenchGemm(machine, kernels, {f32, bf16, many, 4096, 4096});
  BenchGemm(machine, kernels, {f32, f16, many, 4096, 4096});
  BenchGemm(machine, kernels, {f32, f32, many, 4096, 4096});
  BenchGemm(machine, kernels, {bf16, bf16, many, 4096, 4096});
  BenchGemm(machine, kernels, {f32, bf16, many, 13696, 4096});
  BenchPagedAttention(machine, kernels, {1, 8192 / scale, 16, 128});
  BenchPagedAttention(machine, kernels, {512 / scale, 2048 / scale, 16, 128});
  BenchFullAttention(machine, kernels, {3354 / scale, 13416 / scale, 1, 128});
  BenchFullAttention(machine, kernels, {375 / scale, 375, 1, 64});
  BenchRows(machine, kernels);
}

}  // namespace
}  // namespace autoglm::perf

int main(int argc, char** argv) {
  using namespace autoglm;
  const unsigned cores = std::thread::hardware_concurrency();
  const int num_threads = argc > 1 ? std::atoi(argv[1]) : static_cast<int>(cores);
  if (num_threads < 1) {
    std::fprintf(stderr, "kernels_bench [number of threads]\n");
    return 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // figures show as they come, through a pipe too
  const perf::MachinePeak machine = perf::MeasurePeak(num_threads);
  std::printf("%d threads, %.1f GB/s read, %.0f GFLOP/s float32\n", num_threads,
              machine.bytes_per_second * 1e-9, machine.flops_per_second * 1e-9);
  for (const kernels::KernelLevel& level : kernels::SupportedLevels()) {
    perf::BenchLevel(machine, level.kernels, level.level == kernels::IsaLevel::kReference ? 32 : 1);
  }
  return 0;
}
