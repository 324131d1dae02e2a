#include "kernels/cuda/cuda_context.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/row_vectors.cuh"

namespace autoglm::cuda {
namespace {

constexpr int kBlockThreads = 256;

void CheckSameShape(const MatrixView& x, const MatrixView& y) {
  CHECK(x.rows == y.rows && x.columns == y.columns);
}

void CheckDense(const MatrixView& x) { CHECK(x.stride == x.columns); }

SIMT_DEVICE float SigmoidOf(float x) { return 1.0f / (1.0f + Exp(-x)); }

// A grid of rows by pieces of a row, whose threads take kValues columns each.
template <int kValues>
Dim3 GridOfRows(int64_t rows, int64_t columns) {
  return {.x = static_cast<int>(rows),
          .y = static_cast<int>(DivideUp(columns, kBlockThreads * kValues))};
}

// Returns the first column of the thread in its row.
template <int kValues>
SIMT_DEVICE int FirstColumn() {
  return (BlockIndex().y * kBlockThreads + ThreadIndex()) * kValues;
}

// Returns the first value of the thread in a dense matrix.
template <int kValues>
SIMT_DEVICE int64_t FirstValue() {
  return (static_cast<int64_t>(BlockIndex().x) * kBlockThreads + ThreadIndex()) * kValues;
}

// Takes rows of a table to float32.
template <Dtype kDtype, int kValues>
struct GatherRows {
  using Number = std::conditional_t<kDtype == Dtype::kFloat32, float, uint16_t>;
  struct Args {
    const Number* table;  // [num_rows, columns]
    const int32_t* rows;  // [y.rows]
    RowsOf y;
    int columns;
  };
  static constexpr int kThreads = kBlockThreads;

  SIMT_DEVICE void operator()(const Args& args) const {
    const int column = FirstColumn<kValues>();
    if (column >= args.columns) return;
    const int64_t from = args.rows[BlockIndex().x];
    const Vec<Number, kValues> numbers = *reinterpret_cast<const Vec<Number, kValues>*>(
        args.table + from * args.columns + column);
    Vec<float, kValues> values;
    for (int i = 0; i < kValues; ++i) {
      if constexpr (kDtype == Dtype::kFloat32) {
        values[i] = numbers[i];
      } else if constexpr (kDtype == Dtype::kBfloat16) {
        values[i] = Bf16ToFloat(numbers[i]);
      } else {
        values[i] = F16ToFloat(numbers[i]);
      }
    }
    StoreValues<kValues>(args.y.Row(BlockIndex().x) + column, values);
  }
};

template <Dtype kDtype>
void GatherFrom(CudaContext& cuda, const GatherOp& op) {
  const int value_bytes = static_cast<int>(DtypeBytes(kDtype));
  const bool is_vector = AreVectorRows({op.y}) && IsVectorPlace(op.table, 0, value_bytes);
  WithVectorValues(is_vector, [&](auto values) {
    using Kernel = GatherRows<kDtype, values()>;
    Launch<Kernel>(cuda.stream(), GridOfRows<values()>(op.y.rows, op.y.columns), 0,
                   {.table = static_cast<const typename Kernel::Number*>(op.table),
                    .rows = op.rows,
                    .y = RowsOfView(op.y),
                    .columns = static_cast<int>(op.y.columns)});
  });
}

void Gather(OpsContext& context, const GatherOp& op) {
  switch (op.dtype) {
    case Dtype::kFloat32:
      return GatherFrom<Dtype::kFloat32>(Cuda(context), op);
    case Dtype::kBfloat16:
      return GatherFrom<Dtype::kBfloat16>(Cuda(context), op);
    case Dtype::kFloat16:
      return GatherFrom<Dtype::kFloat16>(Cuda(context), op);
  }
}

template <int kValues>
struct ActivateValues {
  struct Args {
    const float* x;
    float* y;
    int64_t count;
    Activation activation;
  };
  static constexpr int kThreads = kBlockThreads;

  SIMT_DEVICE void operator()(const Args& args) const {
    const int64_t first = FirstValue<kValues>();
    if (first >= args.count) return;
    Vec<float, kValues> values = LoadValues<kValues>(args.x + first);
    for (int i = 0; i < kValues; ++i) values[i] = Apply(args.activation, values[i]);
    StoreValues<kValues>(args.y + first, values);
  }

  SIMT_DEVICE static float Apply(Activation activation, float x) {
    constexpr float kInverseSqrt2 = 0.70710678118654752f;
    switch (activation) {
      case Activation::kSilu:
        return x * SigmoidOf(x);
      case Activation::kGeluErf:
        return 0.5f * x * (1.0f + Erf(x * kInverseSqrt2));
      case Activation::kRelu:
        return x > 0.0f ? x : 0.0f;
      case Activation::kSigmoid:
        return SigmoidOf(x);
    }
    return x;
  }
};

// Launches a kernel over all values of dense matrices, one after another.
template <template <int> typename Kernel>
void LaunchDense(CudaContext& cuda, const MatrixView& x, const MatrixView& y,
                 const auto& args_of_kernel) {
  CheckSameShape(x, y);
  CheckDense(x);
  CheckDense(y);
  const int64_t count = x.rows * x.columns;
  const bool is_vector =
      IsVectorPlace(x.data, count) && IsVectorPlace(y.data, count);
  WithVectorValues(is_vector, [&](auto values) {
    const int64_t num_blocks = DivideUp(count, kBlockThreads * values());
    Launch<Kernel<values()>>(cuda.stream(), {.x = static_cast<int>(num_blocks)}, 0,
                             args_of_kernel.template operator()<values()>(count));
  });
}

void Activate(OpsContext& context, const ActivationOp& op) {
  LaunchDense<ActivateValues>(
      Cuda(context), op.x, op.y, [&]<int kValues>(int64_t count) {
        return typename ActivateValues<kValues>::Args{op.x.data, op.y.data, count, op.activation};
      });
}

// y += scale * x.
template <int kValues>
struct AddScaledValues {
  struct Args {
    const float* x;
    float* y;
    int64_t count;
    float scale;
  };
  static constexpr int kThreads = kBlockThreads;

  SIMT_DEVICE void operator()(const Args& args) const {
    const int64_t first = FirstValue<kValues>();
    if (first >= args.count) return;
    const Vec<float, kValues> x = LoadValues<kValues>(args.x + first);
    Vec<float, kValues> y = LoadValues<kValues>(args.y + first);
    for (int i = 0; i < kValues; ++i) y[i] += args.scale * x[i];
    StoreValues<kValues>(args.y + first, y);
  }
};

void AddScaled(OpsContext& context, const AddScaledOp& op) {
  LaunchDense<AddScaledValues>(
      Cuda(context), op.x, op.y, [&]<int kValues>(int64_t count) {
        return typename AddScaledValues<kValues>::Args{op.x.data, op.y.data, count, op.scale};
      });
}

enum class Gate { kSiluOfFirst, kSigmoidOfSecond };

// Multiplies the halves of each row, one of them behind a gate.
template <Gate kGate, int kValues>
struct GateHalves {
  struct Args {
    RowsOf x;  // [rows, 2 * columns]
    RowsOf y;
    int columns;
  };
  static constexpr int kThreads = kBlockThreads;

  SIMT_DEVICE void operator()(const Args& args) const {
    const int column = FirstColumn<kValues>();
    if (column >= args.columns) return;
    const float* const x = args.x.Row(BlockIndex().x) + column;
    const Vec<float, kValues> first = LoadValues<kValues>(x);
    const Vec<float, kValues> second = LoadValues<kValues>(x + args.columns);
    Vec<float, kValues> y;
    for (int i = 0; i < kValues; ++i) {
      y[i] = kGate == Gate::kSiluOfFirst ? first[i] * SigmoidOf(first[i]) * second[i]
                                         : first[i] * SigmoidOf(second[i]);
    }
    StoreValues<kValues>(args.y.Row(BlockIndex().x) + column, y);
  }
};

template <Gate kGate>
void RunGated(OpsContext& context, const GatedOp& op) {
  CHECK(op.x.rows == op.y.rows && op.x.columns == 2 * op.y.columns);
  WithVectorValues(AreVectorRows({op.x, op.y}), [&](auto values) {
    Launch<GateHalves<kGate, values()>>(
        Cuda(context).stream(), GridOfRows<values()>(op.y.rows, op.y.columns), 0,
        {RowsOfView(op.x), RowsOfView(op.y), static_cast<int>(op.y.columns)});
  });
}

// y = sigmoid(gate) * x, with one gate a row.
template <int kValues>
struct GateWholeRows {
  struct Args {
    const float* gate;  // [rows]
    RowsOf x;
    RowsOf y;
    int columns;
  };
  static constexpr int kThreads = kBlockThreads;

  SIMT_DEVICE void operator()(const Args& args) const {
    const int column = FirstColumn<kValues>();
    if (column >= args.columns) return;
    const float gate = SigmoidOf(args.gate[BlockIndex().x]);
    Vec<float, kValues> values = LoadValues<kValues>(args.x.Row(BlockIndex().x) + column);
    for (int i = 0; i < kValues; ++i) values[i] *= gate;
    StoreValues<kValues>(args.y.Row(BlockIndex().x) + column, values);
  }
};

void GateRows(OpsContext& context, const GateRowsOp& op) {
  CheckSameShape(op.x, op.y);
  WithVectorValues(AreVectorRows({op.x, op.y}), [&](auto values) {
    Launch<GateWholeRows<values()>>(
        Cuda(context).stream(), GridOfRows<values()>(op.x.rows, op.x.columns), 0,
        {op.gate, RowsOfView(op.x), RowsOfView(op.y), static_cast<int>(op.x.columns)});
  });
}

// Rotates the pairs of each head, one a thread.
template <RopePairs kPairs>
struct RotatePairs {
  struct Args {
    RowsOf x;
    const float* cos;  // [rows, num_pairs]
    const float* sin;  // [rows, num_pairs]
    int num_heads;
    int head_dim;
    int num_pairs;
  };
  static constexpr int kThreads = kBlockThreads;

  SIMT_DEVICE void operator()(const Args& args) const {
    const int index = FirstColumn<1>();
    if (index >= args.num_heads * args.num_pairs) return;
    const int head = index / args.num_pairs;
    const int pair = index % args.num_pairs;
    const int64_t row = BlockIndex().x;
    float* const x = args.x.Row(row) + head * args.head_dim;
    float* const first = x + (kPairs == RopePairs::kInterleaved ? 2 * pair : pair);
    float* const second = first + (kPairs == RopePairs::kInterleaved ? 1 : args.num_pairs);
    const float cos = args.cos[row * args.num_pairs + pair];
    const float sin = args.sin[row * args.num_pairs + pair];
    const float a = *first;
    const float b = *second;
    *first = a * cos - b * sin;
    *second = b * cos + a * sin;
  }
};

template <RopePairs kPairs>
void RotateBy(CudaContext& cuda, const RopeOp& op, int64_t head_dim) {
  Launch<RotatePairs<kPairs>>(cuda.stream(),
                              GridOfRows<1>(op.x.rows, op.num_heads * op.num_pairs), 0,
                              {.x = RowsOfView(op.x),
                               .cos = op.cos,
                               .sin = op.sin,
                               .num_heads = static_cast<int>(op.num_heads),
                               .head_dim = static_cast<int>(head_dim),
                               .num_pairs = static_cast<int>(op.num_pairs)});
}

void Rope(OpsContext& context, const RopeOp& op) {
  CHECK(op.num_heads > 0 && op.x.columns % op.num_heads == 0);
  const int64_t head_dim = op.x.columns / op.num_heads;
  CHECK(2 * op.num_pairs <= head_dim);
  if (op.pairs == RopePairs::kInterleaved) {
    RotateBy<RopePairs::kInterleaved>(Cuda(context), op, head_dim);
  } else {
    RotateBy<RopePairs::kHalves>(Cuda(context), op, head_dim);
  }
}

}  // namespace

void SetRowOps(Ops& ops) {
  ops.gather = Gather;
  ops.activate = Activate;
  ops.silu_mul = RunGated<Gate::kSiluOfFirst>;
  ops.glu = RunGated<Gate::kSigmoidOfSecond>;
  ops.add_scaled = AddScaled;
  ops.gate_rows = GateRows;
  ops.rope = Rope;
}

}  // namespace autoglm::cuda
