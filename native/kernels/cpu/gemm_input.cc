#include "kernels/cpu/gemm_input.h"

#include <algorithm>
#include <utility>

namespace autoglm::cpu {
namespace {

// Returns the distance of rounded rows in bytes: an odd number of cache lines, so that the lines of
// one column of a block of rows do not compete for one place in a cache.
int64_t RoundedRowBytes(int64_t depth, int64_t value_bytes) {
  constexpr int64_t kLineBytes = 64;
  return (DivideUp(depth * value_bytes, kLineBytes) | 1) * kLineBytes;
}

int64_t RoundedValueBytes(const WeightFormat& format, const kernels::GemmTask& task) {
  if (format.quantizes_input) return sizeof(uint8_t);
  return task.x_layout == kernels::InputLayout::kFloatRows ? sizeof(float) : sizeof(uint16_t);
}

// Makes a buffer at least as large as `bytes`.
Status Grow(DeviceBuffer& buffer, int64_t bytes) {
  if (static_cast<size_t>(bytes) <= buffer.bytes()) return Status();
  Result<DeviceBuffer> larger = AllocateHostMemory(static_cast<size_t>(bytes));
  if (!larger.ok()) return larger.status();
  buffer = std::move(larger.value());
  return Status();
}

}  // namespace

Status GrowGemmInput(CpuContext& cpu, const WeightShape& shape) {
  // The number of rows does not change how large a number is.
  const kernels::GemmTask task =
      cpu.kernels().gemm.largest_task(shape.format, Dtype::kBfloat16, shape.depth, 1);
  const int64_t row_bytes = RoundedRowBytes(shape.depth, RoundedValueBytes(shape.format, task));
  const int64_t scratch_bytes = static_cast<int64_t>(cpu.kernels().gemm.scratch_bytes);
  const Status scales = Grow(cpu.gemm_input_scales, kRowsPerRounding * int64_t{sizeof(float)});
  if (!scales.ok()) return scales;
  const Status input = Grow(cpu.gemm_input, kRowsPerRounding * row_bytes);
  if (!input.ok() || scratch_bytes == 0) return input;
  // A row is rounded in the scratch before it is arranged.
  cpu.gemm_scratch_bytes =
      std::max({cpu.gemm_scratch_bytes, DivideUp(scratch_bytes, 64) * 64, row_bytes});
  return Grow(cpu.gemm_scratch, cpu.gemm_scratch_bytes * cpu.threads().num_threads());
}

void* GemmScratch(const CpuContext& cpu, int thread) {
  if (cpu.gemm_scratch_bytes == 0) return nullptr;
  return cpu.gemm_scratch.as<char>() + cpu.gemm_scratch_bytes * thread;
}

GemmInput PlainGemmInput(const MatrixView& x) {
  return {.data = reinterpret_cast<const char*>(x.data),
          .dtype = Dtype::kFloat32,
          .layout = kernels::InputLayout::kRows,
          .row_bytes = x.stride * int64_t{sizeof(float)},
          .stride = x.stride};
}

GemmInput RoundGemmInput(CpuContext& cpu, const WeightFormat& format, const MatrixView& x,
                         const kernels::GemmTask& task) {
  const kernels::CpuKernels& kernels = cpu.kernels();
  const int64_t value_bytes = RoundedValueBytes(format, task);
  const int64_t row_bytes = RoundedRowBytes(x.columns, value_bytes);
  CHECK(x.rows <= kRowsPerRounding);
  CHECK(static_cast<size_t>(kRowsPerRounding * row_bytes) <= cpu.gemm_input.bytes());
  char* const rounded = cpu.gemm_input.as<char>();
  float* const scales = cpu.gemm_input_scales.as<float>();
  const bool is_int16 = task.x_layout == kernels::InputLayout::kInt16Rows;
  const auto round_row = [&](int64_t row, void* target) {
    const float* source = x.data + row * x.stride;
    if (format.quantizes_input) {
      scales[row] =
          kernels.convert.float32_to_uint8(source, static_cast<uint8_t*>(target), x.columns);
    } else if (is_int16) {
      scales[row] =
          kernels.convert.float32_to_int16(source, static_cast<int16_t*>(target), x.columns);
    } else if (task.x_layout == kernels::InputLayout::kFloatRows) {
      kernels.convert.round_to_bfloat16(source, static_cast<float*>(target), x.columns);
    } else {
      kernels.convert.float32_to_bfloat16(source, static_cast<uint16_t*>(target), x.columns);
    }
  };
  cpu.ForRows(x.rows, x.columns, [&](int64_t begin, int64_t count, int thread) {
    for (int64_t row = begin; row < begin + count; ++row) {
      if (task.x_layout != kernels::InputLayout::kTiles) {
        round_row(row, rounded + row * row_bytes);
        continue;
      }
      void* const dense = GemmScratch(cpu, thread);
      round_row(row, dense);
      const int64_t first = row - row % task.num_rows;
      kernels.gemm.arrange_row({.x = dense,
                                .row_bytes = x.columns * value_bytes,
                                .row = row - first,
                                .num_rows = std::min(task.num_rows, x.rows - first),
                                .tiles = rounded + first * row_bytes});
    }
  });
  return {.data = rounded,
          .dtype = Dtype::kBfloat16,
          .layout = task.x_layout,
          .row_bytes = row_bytes,
          .stride = row_bytes / value_bytes,
          .scales = format.quantizes_input || is_int16 ? scales : nullptr};
}

}  // namespace autoglm::cpu
