// Measures the speed of the kernels at every level that the machine has, against the memory
// bandwidth and arithmetic peak of the same run: kernels_bench [number of threads] [level].

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
  WeightFormat format;
  int64_t num_rows;
  int64_t depth;
  int64_t num_columns;

  // Bytes of a number of the input as a level takes it.
  int64_t ValueBytes(kernels::InputLayout layout) const {
    if (format.quantizes_input) return 1;
    if (layout == kernels::InputLayout::kFloatRows) return sizeof(float);
    return static_cast<int64_t>(DtypeBytes(x_dtype));
  }
  std::string Name() const {
    const char* x = format.quantizes_input ? "int8" : DtypeName(x_dtype);
    return std::string("gemm ") + x + " x " + WeightFormatName(format) + " " +
           std::to_string(num_rows) + "x" + std::to_string(depth) + "x" +
           std::to_string(num_columns);
  }
};

// Prints the work of a product beside the fastest products of these numbers.
void PrintProducts(const MachinePeak& machine, const char* isa, const GemmShape& shape,
                   const Figure& figure) {
  if (shape.format.quantizes_input && machine.int8_ops_per_second > 0.0) {
    return Print(isa, figure, "GOP/s", machine.int8_ops_per_second);
  }
  if (shape.x_dtype == Dtype::kBfloat16 && machine.bfloat16_flops_per_second > 0.0) {
    return Print(isa, figure, "GFLOP/s", machine.bfloat16_flops_per_second);
  }
  PrintFlops(machine, isa, figure);
}

// Reading the weights limits the speed of few rows, arithmetic that of many rows.
constexpr int64_t kFewRows = 17;

// Measures gemm; each thread multiplies with its part of the panels, in tasks as large as the level
// likes them.
void BenchGemm(const MachinePeak& machine, const CpuKernels& kernels, const GemmShape& shape) {
  const kernels::GemmKernels& gemm = kernels.gemm;
  const size_t panel_bytes = gemm.panel_bytes(shape.format, shape.depth);
  const int64_t num_panels = shape.num_columns / gemm.panel_width;
  const LargeBuffer panels(panel_bytes * static_cast<size_t>(num_panels));
  constexpr int64_t kPadding = 32;  // keeps rows from competing for one place in a cache
  const int64_t x_stride = shape.depth + kPadding;
  const LargeBuffer x(static_cast<size_t>(shape.num_rows * x_stride) * sizeof(float));
  const LargeBuffer scratch(gemm.scratch_bytes * machine.num_threads + 1);
  const std::vector<float> x_scales(static_cast<size_t>(shape.num_rows), 1.0f);
  const LargeBuffer y(static_cast<size_t>(shape.num_rows * shape.num_columns) * sizeof(float));
  // 0x3c3c is a number of ordinary size in every type.
  std::memset(panels.data(), 0x3c, panels.bytes());
  std::memset(x.data(), 0x3c, x.bytes());
  const int64_t part = num_panels / machine.num_threads;

  const double seconds = BestSeconds(machine.num_threads, [&](int thread) {
    const kernels::GemmTask task = gemm.largest_task(shape.format, shape.x_dtype, shape.depth, shape.num_rows);
    for (int64_t panel = part * thread; panel < part * (thread + 1); panel += task.num_panels) {
      const int64_t count = std::min(task.num_panels, part * (thread + 1) - panel);
      for (int64_t row = 0; row < shape.num_rows; row += task.num_rows) {
        gemm.multiply({.x_dtype = shape.x_dtype,
                       .x = x.data() + row * x_stride * shape.ValueBytes(task.x_layout),
                       .x_layout = task.x_layout,
                       .x_scales = x_scales.data() + row,
                       .x_stride = x_stride,
                       .num_rows = std::min(task.num_rows, shape.num_rows - row),
                       .depth = shape.depth,
                       .format = shape.format,
                       .panels = panels.data() + static_cast<size_t>(panel) * panel_bytes,
                       .bias = nullptr,
                       .y = y.floats() + row * shape.num_columns + panel * gemm.panel_width,
                       .y_stride = shape.num_columns,
                       .num_columns = count * gemm.panel_width,
                       .scratch = scratch.data() + gemm.scratch_bytes * thread});
      }
    }
  });

  const double num_used = static_cast<double>(part * machine.num_threads);
  if (shape.num_rows < kFewRows) {
    PrintBytes(machine, gemm.isa,
               {shape.Name(), num_used * static_cast<double>(panel_bytes), seconds});
  } else {
    const auto products = static_cast<double>(shape.num_rows * shape.depth * gemm.panel_width);
    PrintProducts(machine, gemm.isa, shape, {shape.Name(), 2.0 * products * num_used, seconds});
  }
}

struct AttentionCase {
  int64_t num_queries;
  int64_t num_keys;
  int64_t num_heads;  // that share one KV head
  int64_t head_dim;
};

// Measures paged attention; every thread attends to a KV head of its own.
void BenchPagedAttention(const MachinePeak& machine, const CpuKernels& kernels,
                         const AttentionCase& c, KvDtype dtype) {
  constexpr int64_t kBlockSize = 16;
  const int64_t row = c.num_heads * c.head_dim;
  const auto threads = static_cast<size_t>(machine.num_threads);
  const LargeBuffer scratch(threads * kernels.attention.scratch_bytes + 1);
  const int64_t plane_bytes = c.num_keys * c.head_dim * KvDtypeBytes(dtype);
  const LargeBuffer cache(threads * static_cast<size_t>(2 * plane_bytes));
  const std::vector<float> scales(static_cast<size_t>(c.num_keys), 0.01f);
  const LargeBuffer q(threads * static_cast<size_t>(c.num_queries * row) * sizeof(float));
  const LargeBuffer out(q.bytes());
  std::vector<int32_t> block_table;
  for (int64_t i = 0; i < c.num_keys / kBlockSize; ++i) {
    block_table.push_back(static_cast<int32_t>(i));
  }

  const double seconds = BestSeconds(machine.num_threads, [&](int thread) {
    const auto* keys = reinterpret_cast<const char*>(cache.data()) + 2 * thread * plane_bytes;
    kernels.attention.paged({.q = q.floats() + thread * c.num_queries * row,
                             .q_stride = row,
                             .num_queries = c.num_queries,
                             .num_heads = c.num_heads,
                             .head_dim = c.head_dim,
                             .first_position = c.num_keys - c.num_queries,
                             .kv_dtype = dtype,
                             .keys = keys,
                             .values = keys + plane_bytes,
                             .block_stride = kBlockSize * c.head_dim,
                             .token_stride = c.head_dim,
                             .block_size = kBlockSize,
                             .key_scales = scales.data(),
                             .value_scales = scales.data(),
                             .scale_stride = kBlockSize,
                             .block_table = block_table.data(),
                             .scale = 0.1f,
                             .out = out.floats() + thread * c.num_queries * row,
                             .out_stride = row,
                             .scratch = scratch.data() + static_cast<size_t>(thread) *
                                                             kernels.attention.scratch_bytes});
  });

  const double pairs = static_cast<double>(c.num_queries) *
                       (static_cast<double>(c.num_keys) - 0.5 * static_cast<double>(c.num_queries));
  PrintFlops(machine, kernels.attention.isa,
             {"paged attention " + std::to_string(c.num_queries) + " of " +
                  std::to_string(c.num_keys) + ", " + std::to_string(c.num_heads) + " heads, " + KvDtypeName(dtype),
              4.0 * pairs * static_cast<double>(row) * machine.num_threads, seconds});
}

// Measures full attention; every thread takes a head of its own, and keys and values lie as in the
// output of a fused projection.
void BenchFullAttention(const MachinePeak& machine, const CpuKernels& kernels,
                        const AttentionCase& c) {
  const int64_t stride = 3 * c.head_dim * machine.num_threads;
  const LargeBuffer qkv(static_cast<size_t>(c.num_keys * stride) * sizeof(float));
  const LargeBuffer out(qkv.bytes());
  const LargeBuffer scratch(static_cast<size_t>(machine.num_threads) *
                                kernels.attention.scratch_bytes +
                            1);

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
                            .product_dtype = Dtype::kBfloat16,
                            .out = out.floats() + thread * c.head_dim,
                            .out_stride = stride,
                            .scratch = scratch.data() + static_cast<size_t>(thread) *
                                                            kernels.attention.scratch_bytes});
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
  const Dtype f32 = Dtype::kFloat32, bf16 = Dtype::kBfloat16;
  const WeightFormat w32 = PlainFormat(f32), wb16 = PlainFormat(bf16);
  const WeightFormat w16 = PlainFormat(Dtype::kFloat16);
  const WeightFormat int8 = {.type = WeightType::kInt8};
  const WeightFormat dynamic_int8 = {.type = WeightType::kInt8, .quantizes_input = true};
  const WeightFormat int4 = {
      .type = WeightType::kInt4, .group_size = 128, .scale_dtype = Dtype::kBfloat16};
  const int64_t wide = 27392 / scale, many = 512 / scale;
  BenchGemm(machine, kernels, {f32, wb16, 1, 4096, wide});
  BenchGemm(machine, kernels, {f32, w16, 1, 4096, wide});
  BenchGemm(machine, kernels, {f32, w32, 1, 4096, wide});
  BenchGemm(machine, kernels, {bf16, wb16, 1, 4096, wide});
  BenchGemm(machine, kernels, {bf16, dynamic_int8, 1, 4096, wide});
  BenchGemm(machine, kernels, {bf16, int8, 1, 4096, wide});
  BenchGemm(machine, kernels, {bf16, int4, 1, 4096, wide});
  BenchGemm(machine, kernels, {f32, int4, 1, 4096, wide});
  BenchGemm(machine, kernels, {f32, wb16, 4, 4096, wide});
  BenchGemm(machine, kernels, {f32, wb16, 64 / (scale > 1 ? 8 : 1), 4096, 4096});
  BenchGemm(machine, kernels, {f32, wb16, many, 4096, 4096});
  BenchGemm(machine, kernels, {f32, w16, many, 4096, 4096});
  BenchGemm(machine, kernels, {f32, w32, many, 4096, 4096});
  BenchGemm(machine, kernels, {bf16, wb16, 5, 4096, wide});
  BenchGemm(machine, kernels, {bf16, wb16, 16 / (scale > 1 ? 8 : 1), 4096, wide});
  BenchGemm(machine, kernels, {bf16, wb16, many, 4096, wide});
  BenchGemm(machine, kernels, {bf16, wb16, many, 4096, 4096});
  BenchGemm(machine, kernels, {bf16, wb16, many, 13696, 4096});
  BenchGemm(machine, kernels, {bf16, dynamic_int8, many, 4096, 4096});
  BenchGemm(machine, kernels, {bf16, int8, many, 4096, 4096});
  BenchGemm(machine, kernels, {bf16, int4, many, 4096, 4096});
  BenchGemm(machine, kernels, {f32, wb16, many, 13696, 4096});
  for (const KvDtype dtype : {KvDtype::kBfloat16, KvDtype::kInt8}) {
    BenchPagedAttention(machine, kernels, {1, 8192 / scale, 16, 128}, dtype);
    BenchPagedAttention(machine, kernels, {512 / scale, 8192 / scale, 16, 128}, dtype);
  }
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
    std::fprintf(stderr, "kernels_bench [number of threads] [level]\n");
    return 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // figures show as they come, through a pipe too
  const perf::MachinePeak machine = perf::MeasurePeak(num_threads);
  std::printf("%d threads, %.1f GB/s read, %.0f GFLOP/s float32, %.0f bfloat16, %.0f GOP/s int8\n",
              num_threads, machine.bytes_per_second * 1e-9, machine.flops_per_second * 1e-9,
              machine.bfloat16_flops_per_second * 1e-9, machine.int8_ops_per_second * 1e-9);
  for (const kernels::KernelLevel& level : kernels::SupportedLevels()) {
    if (argc > 2 && std::strcmp(argv[2], kernels::IsaName(level.level)) != 0) continue;
    perf::BenchLevel(machine, level.kernels, level.level == kernels::IsaLevel::kReference ? 32 : 1);
  }
  return 0;
}
