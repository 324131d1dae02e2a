#include <algorithm>
#include <string>
#include <utility>

#include "kernels/cuda/cuda_context.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/gemm/launch.h"
#include "kernels/cuda/gemm/pack.h"
#include "kernels/cuda/gemm/round_input.cuh"

namespace autoglm::cuda {
namespace {

Status Grow(CudaContext& cuda, size_t bytes, DeviceBuffer& buffer) {
  if (bytes <= buffer.bytes()) return Status();
  buffer = DeviceBuffer();
  Result<DeviceBuffer> larger = Allocate(cuda, bytes);
  if (!larger.ok()) return larger.status();
  buffer = std::move(larger.value());
  return Status();
}

// Returns true if the product is multiplied without tensor cores, which would round a factor.
bool IsPlain(const GemmOp& op) {
  const WeightFormat& format = op.weight.shape.format;
  if (format.quantizes_input) return false;
  return format.type == WeightType::kFloat32 || op.activation_dtype == Dtype::kFloat32;
}

// Returns true if rows can be read by loads of 16 bytes.
bool AreAligned(const MatrixView& x) {
  return reinterpret_cast<uintptr_t>(x.data) % 16 == 0 && x.stride % 4 == 0 && x.columns % 4 == 0;
}

// Rounds the input to the blocks of the scratch.
void RoundRows(CudaContext& cuda, const WeightShape& weight, const MatrixView& x) {
  const RoundInputArgs args = {
      .x = x.data,
      .x_stride = x.stride,
      .num_rows = static_cast<int>(x.rows),
      .depth = static_cast<int>(x.columns),
      .num_blocks = static_cast<int>(InputRowBytes(weight) / kInputRowBytes),
      .blocks = cuda.gemm_scratch.input.as<std::byte>(),
      .scales = cuda.gemm_scratch.input_scales.as<float>(),
  };
  const int num_tiles = (args.num_rows + kTileRows - 1) / kTileRows;
  const Dim3 grid_of_rows = {.x = num_tiles * kTileRows};
  switch (NumbersOf(weight.format)) {
    case WeightNumbers::kFp8ByFp8: {
      using Kernel = QuantizeInput<ToFp8>;
      return Launch<Kernel>(cuda.stream(), grid_of_rows, Kernel::kSharedBytes, args);
    }
    case WeightNumbers::kInt8ByInt8: {
      using Kernel = QuantizeInput<ToInt8>;
      return Launch<Kernel>(cuda.stream(), grid_of_rows, Kernel::kSharedBytes, args);
    }
    default:
      return Launch<RoundInput>(cuda.stream(),
                                {.x = RoundInput::NumBlocks(num_tiles, args.num_blocks)}, 0, args);
  }
}

void MultiplyRows(CudaContext& cuda, const GemmOp& op, const MatrixView& x,
                  const MatrixView& y) {
  const WeightShape& weight = op.weight.shape;
  const GemmPlan plan =
      PlanGemm(weight, {y.rows, AreAligned(x)}, cuda.properties().num_multiprocessors);
  if (!ConvertsInput(plan.count, NumbersOf(weight.format))) RoundRows(cuda, weight, x);
  const GemmScratch& scratch = cuda.gemm_scratch;
  const RowsToMultiply rows = {op,
                               x,
                               y,
                               scratch.input.as<std::byte>(),
                               scratch.input_scales.as<float>(),
                               scratch.partials.data(),
                               scratch.arrivals.as<unsigned>()};
  switch (weight.format.type) {
    case WeightType::kInt8:
      return LaunchInt8Product(cuda.stream(), plan, rows);
    case WeightType::kInt4:
      return LaunchInt4Product(cuda.stream(), plan, rows);
    case WeightType::kFp8:
      return LaunchFp8Product(cuda.stream(), plan, rows);
    default:
      return LaunchFloatProduct(cuda.stream(), plan, rows);
  }
}

size_t PackedBytes(OpsContext&, const WeightShape& shape) {
  return static_cast<size_t>(LayoutOf(shape).bytes());
}

// Pages of a file are no memory of a GPU.
std::string PackedLayout(OpsContext&) { return ""; }

Fp8Products FindFp8Products(OpsContext& context) {
  const bool has_fp8 = Cuda(context).properties().capability >= kFp8Capability;
  return has_fp8 ? Fp8Products::kFloatsAndFp8 : Fp8Products::kFloats;
}

// Takes the memory that products of this weight will need, for any number of rows.
Status PrepareGemm(OpsContext& context, const WeightShape& shape) {
  CudaContext& cuda = Cuda(context);
  const Status format = CheckGemmFormat(shape.format, cuda.properties().capability);
  if (!format.ok()) return format;
  const GemmScratchBytes bytes = ScratchOf(shape, cuda.properties().num_multiprocessors);
  GemmScratch& scratch = cuda.gemm_scratch;
  for (const auto& [needed, buffer] : {std::pair{bytes.input, &scratch.input},
                                       std::pair{bytes.input_scales, &scratch.input_scales},
                                       std::pair{bytes.partials, &scratch.partials}}) {
    const Status status = Grow(cuda, needed, *buffer);
    if (!status.ok()) return status;
  }
  if (bytes.arrivals <= scratch.arrivals.bytes()) return Status();
  const Status status = Grow(cuda, bytes.arrivals, scratch.arrivals);
  if (status.ok()) cuda.stream().Clear(scratch.arrivals.data(), scratch.arrivals.bytes());
  return status;
}

void Gemm(OpsContext& context, const GemmOp& op) {
  CudaContext& cuda = Cuda(context);
  const WeightShape& weight = op.weight.shape;
  CHECK(op.x.columns == weight.depth && op.y.columns == weight.columns);
  CHECK(op.x.rows == op.y.rows);
  if (IsPlain(op)) return LaunchPlainProduct(cuda.stream(), op);
  const int64_t turn = RowsPerTurn(weight);
  for (int64_t begin = 0; begin < op.x.rows; begin += turn) {
    const int64_t count = std::min(turn, op.x.rows - begin);
    MultiplyRows(cuda, op, op.x.Rows(begin, count), op.y.Rows(begin, count));
  }
}

}  // namespace

void SetGemmOps(Ops& ops) {
  ops.packed_bytes = PackedBytes;
  ops.packed_layout = PackedLayout;
  ops.fp8_products = FindFp8Products;
  ops.prepare_gemm = PrepareGemm;
  ops.pack = Pack;
  ops.gemm = Gemm;
}

}  // namespace autoglm::cuda
