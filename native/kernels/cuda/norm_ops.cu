#include "kernels/cuda/cuda_context.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/row_vectors.cuh"

namespace autoglm::cuda {
namespace {

constexpr int kBlockThreads = 256;
// Rows of at most so many columns are left to one warp each.
constexpr int64_t kMaxWarpColumns = 1024;

enum class Norm { kRms, kRmsResidual, kLayer };

struct NormArgs {
  RowsOf x;
  RowsOf y;
  const float* weight;  // [columns]
  const float* bias;    // [columns] or null
  int64_t num_rows;
  int columns;
  float epsilon;
};

// Normalises rows, each by so many threads of a block. The sums of a row are those of its threads,
// added in an order that depends on nothing else.
template <Norm kNorm, int kRowThreads, int kValues>
struct NormRows {
  using Args = NormArgs;
  static constexpr int kThreads = kBlockThreads;
  static constexpr int kRowsPerBlock = kThreads / kRowThreads;
  static constexpr int kRowWarps = kRowThreads / kWarpSize;
  // Two sums of every warp, where several warps share a row.
  static constexpr size_t kSharedBytes = kRowWarps > 1 ? 2 * kRowWarps * sizeof(float) : 0;

  SIMT_DEVICE void operator()(const Args& args) const {
    const int thread = ThreadIndex() % kRowThreads;
    const int64_t row =
        static_cast<int64_t>(BlockIndex().x) * kRowsPerBlock + ThreadIndex() / kRowThreads;
    if (row >= args.num_rows) return;
    const float* const x = args.x.Row(row);
    float mean = 0.0f;
    if (kNorm == Norm::kLayer) {
      float sum = 0.0f;
      for (int i = thread * kValues; i < args.columns; i += kRowThreads * kValues) {
        const Vec<float, kValues> values = LoadValues<kValues>(x + i);
        for (int j = 0; j < kValues; ++j) sum += values[j];
      }
      mean = SumOfRow(sum, 0) / static_cast<float>(args.columns);
    }
    float squares = 0.0f;
    for (int i = thread * kValues; i < args.columns; i += kRowThreads * kValues) {
      const Vec<float, kValues> values = LoadValues<kValues>(x + i);
      for (int j = 0; j < kValues; ++j) squares = Fma(values[j] - mean, values[j] - mean, squares);
    }
    squares = SumOfRow(squares, 1);
    // As precise as a row of the CPU, which no approximation of the root is.
    const float scale = 1.0f / Sqrt(squares / static_cast<float>(args.columns) + args.epsilon);
    float* const y = args.y.Row(row);
    for (int i = thread * kValues; i < args.columns; i += kRowThreads * kValues) {
      Vec<float, kValues> values = LoadValues<kValues>(x + i);
      const Vec<float, kValues> weight = LoadValues<kValues>(args.weight + i);
      for (int j = 0; j < kValues; ++j) values[j] = weight[j] * ((values[j] - mean) * scale);
      if (kNorm == Norm::kLayer && args.bias != nullptr) {
        const Vec<float, kValues> bias = LoadValues<kValues>(args.bias + i);
        for (int j = 0; j < kValues; ++j) values[j] += bias[j];
      }
      if (kNorm == Norm::kRmsResidual) {
        const Vec<float, kValues> before = LoadValues<kValues>(y + i);
        for (int j = 0; j < kValues; ++j) values[j] += before[j];
      }
      StoreValues<kValues>(y + i, values);
    }
  }

  // Returns the sum over the row's threads to each of them; `slot` tells the sums of a row apart.
  SIMT_DEVICE static float SumOfRow(float value, int slot) {
    for (int mask = kWarpSize / 2; mask > 0; mask /= 2) value += ShuffleXor(value, mask);
    if constexpr (kRowWarps > 1) {
      float* const sums = reinterpret_cast<float*>(SharedMemory()) + slot * kRowWarps;
      if (LaneIndex() == 0) sums[WarpIndex()] = value;
      SyncThreads();
      value = 0.0f;
      for (int warp = 0; warp < kRowWarps; ++warp) value += sums[warp];
    }
    return value;
  }
};

template <Norm kNorm, int kRowThreads, int kValues>
void LaunchNorm(CudaContext& cuda, const NormArgs& args) {
  using Kernel = NormRows<kNorm, kRowThreads, kValues>;
  const Dim3 grid = {.x = static_cast<int>(DivideUp(args.num_rows, Kernel::kRowsPerBlock))};
  Launch<Kernel>(cuda.stream(), grid, Kernel::kSharedBytes, args);
}

template <Norm kNorm>
void RunNorm(OpsContext& context, const NormOp& op) {
  CHECK(op.x.rows == op.y.rows && op.x.columns == op.y.columns);
  CudaContext& cuda = Cuda(context);
  const NormArgs args = {.x = RowsOfView(op.x),
                         .y = RowsOfView(op.y),
                         .weight = op.weight,
                         .bias = op.bias,
                         .num_rows = op.x.rows,
                         .columns = static_cast<int>(op.x.columns),
                         .epsilon = op.epsilon};
  const bool is_vector = AreVectorRows({op.x, op.y}) && IsVectorPlace(op.weight, 0) &&
                         IsVectorPlace(op.bias, 0);
  WithVectorValues(is_vector, [&](auto values) {
    if (op.x.columns <= kMaxWarpColumns) {
      LaunchNorm<kNorm, kWarpSize, values()>(cuda, args);
    } else {
      LaunchNorm<kNorm, kBlockThreads, values()>(cuda, args);
    }
  });
}

}  // namespace

void SetNormOps(Ops& ops) {
  ops.rms_norm = RunNorm<Norm::kRms>;
  ops.rms_norm_residual = RunNorm<Norm::kRmsResidual>;
  ops.layer_norm = RunNorm<Norm::kLayer>;
}

}  // namespace autoglm::cuda
