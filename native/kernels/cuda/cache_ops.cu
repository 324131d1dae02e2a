#include <limits>

#include "kernels/cuda/cuda_context.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/row_vectors.cuh"

namespace autoglm::cuda {
namespace {

// Stores the keys and values of a token in its slot, a head of either by a warp.
template <KvDtype kDtype>
struct StoreHeads {
  struct Args {
    RowsOf keys;
    RowsOf values;
    const int32_t* slots;  // [rows]; negative: the row is not stored
    std::byte* key_plane;
    std::byte* value_plane;
    int num_kv_heads;
    int block_size;
    int head_dim;
    int64_t number_bytes;  // of a head in a block, up to its scales
    int64_t head_bytes;
  };
  static constexpr int kThreads = 128;
  static constexpr int kWarps = kThreads / kWarpSize;

  SIMT_DEVICE void operator()(const Args& args) const {
    const int index = BlockIndex().y * kWarps + WarpIndex();
    if (index >= 2 * args.num_kv_heads) return;
    const bool is_value = index >= args.num_kv_heads;
    const int head = is_value ? index - args.num_kv_heads : index;
    const int64_t row = BlockIndex().x;
    const float* const x =
        (is_value ? args.values : args.keys).Row(row) + head * args.head_dim;
    const int slot = args.slots[row];
    if (slot < 0) return;
    const int64_t block = slot / args.block_size;
    const int offset = slot % args.block_size;
    std::byte* const head_block = (is_value ? args.value_plane : args.key_plane) +
                                  (block * args.num_kv_heads + head) * args.head_bytes;
    if constexpr (kDtype == KvDtype::kFloat32) {
      float* const y = reinterpret_cast<float*>(head_block) + offset * args.head_dim;
      for (int i = LaneIndex(); i < args.head_dim; i += kWarpSize) y[i] = x[i];
    } else if constexpr (kDtype == KvDtype::kBfloat16) {
      uint16_t* const y = reinterpret_cast<uint16_t*>(head_block) + offset * args.head_dim;
      for (int i = LaneIndex(); i < args.head_dim; i += kWarpSize) y[i] = FloatToBf16(x[i]);
    } else {
      uint8_t* const y = reinterpret_cast<uint8_t*>(head_block) + offset * args.head_dim;
      float* const scale = reinterpret_cast<float*>(head_block + args.number_bytes) + offset;
      StoreIntegers(x, args.head_dim, y, scale);
    }
  }

  // Rounds to the integers of a CPU's cache, bit for bit: 128 more than what is meant, and a row
  // that is not finite is zeros with a scale that is not a number.
  SIMT_DEVICE static void StoreIntegers(const float* x, int count, uint8_t* y, float* scale) {
    float max = 0.0f;
    bool is_finite = true;
    for (int i = LaneIndex(); i < count; i += kWarpSize) {
      const float magnitude = Abs(x[i]);
      max = magnitude > max ? magnitude : max;
      is_finite = is_finite && magnitude <= std::numeric_limits<float>::max();
    }
    for (int mask = kWarpSize / 2; mask > 0; mask /= 2) {
      const float other = ShuffleXor(max, mask);
      max = other > max ? other : max;
    }
    is_finite = AllInWarp(is_finite);
    // Below this the quotient overflows, and no product differs from zero.
    const float inverse = is_finite && max > 0x1p-119f ? 127.0f / max : 0.0f;
    for (int i = LaneIndex(); i < count; i += kWarpSize) {
      const int number = is_finite ? RoundToInt(x[i] * inverse) : 0;
      y[i] = static_cast<uint8_t>(number + 128);
    }
    if (LaneIndex() == 0) {
      *scale = is_finite ? max / 127.0f : std::numeric_limits<float>::quiet_NaN();
    }
  }
};

template <KvDtype kDtype>
void StoreAs(CudaContext& cuda, const StoreKvOp& op) {
  using Kernel = StoreHeads<kDtype>;
  const KvCacheView& cache = op.cache;
  const Dim3 grid = {.x = static_cast<int>(op.keys.rows),
                     .y = static_cast<int>(DivideUp(2 * cache.num_kv_heads, Kernel::kWarps))};
  Launch<Kernel>(cuda.stream(), grid, 0,
                 {.keys = RowsOfView(op.keys),
                  .values = RowsOfView(op.values),
                  .slots = op.slots,
                  .key_plane = static_cast<std::byte*>(cache.keys),
                  .value_plane = static_cast<std::byte*>(cache.values),
                  .num_kv_heads = static_cast<int>(cache.num_kv_heads),
                  .block_size = static_cast<int>(cache.block_size),
                  .head_dim = static_cast<int>(cache.head_dim),
                  .number_bytes = cache.NumberBytes(),
                  .head_bytes = cache.HeadBytes()});
}

void StoreKv(OpsContext& context, const StoreKvOp& op) {
  const KvCacheView& cache = op.cache;
  CHECK(op.keys.columns == cache.num_kv_heads * cache.head_dim);
  CHECK(op.values.columns == op.keys.columns && op.values.rows == op.keys.rows);
  switch (cache.dtype) {
    case KvDtype::kFloat32:
      return StoreAs<KvDtype::kFloat32>(Cuda(context), op);
    case KvDtype::kBfloat16:
      return StoreAs<KvDtype::kBfloat16>(Cuda(context), op);
    case KvDtype::kInt8:
      return StoreAs<KvDtype::kInt8>(Cuda(context), op);
  }
}

}  // namespace

void SetCacheOps(Ops& ops) { ops.store_kv = StoreKv; }

}  // namespace autoglm::cuda
