#ifndef AUTOGLM_KERNELS_CUDA_GEMM_ROUND_INPUT_CUH_
#define AUTOGLM_KERNELS_CUDA_GEMM_ROUND_INPUT_CUH_

#include <limits>

#include "kernels/cuda/gemm/layout.h"
#include "kernels/cuda/simt.h"

// Kernels that round the input of a product to the blocks of layout.h, once for all columns.
// Rows and depths that fill up the last blocks are zeros.

namespace autoglm::cuda {

struct RoundInputArgs {
  const float* x;  // [num_rows, depth]
  int64_t x_stride;
  int num_rows;
  int depth;
  int num_blocks;     // of depth
  std::byte* blocks;  // [tiles of 8 rows][num_blocks][8][64 bytes]
  float* scales;      // [num_rows], of rows that become int8 or fp8
};

// Rounds to bfloat16. A warp writes a block of 8 rows by 32 depths, of which it reads 128 bytes a
// row and a lane eight numbers.
struct RoundInput {
  using Args = RoundInputArgs;
  static constexpr int kThreads = 256;

  static constexpr int NumBlocks(int num_tiles, int num_blocks) {
    return (num_tiles * num_blocks + kThreads / kWarpSize - 1) / (kThreads / kWarpSize);
  }

  SIMT_DEVICE void operator()(const Args& args) const {
    const int block = BlockIndex().x * (kThreads / kWarpSize) + WarpIndex();
    const int num_tiles = (args.num_rows + kTileRows - 1) / kTileRows;
    if (block >= num_tiles * args.num_blocks) return;
    const int row = block / args.num_blocks * kTileRows + LaneIndex() / 4;
    const int first_depth = block % args.num_blocks * 32 + LaneIndex() % 4 * 8;
    const float* const x = args.x + row * args.x_stride;
    Vec<uint32_t, 4> rounded;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int depth = first_depth + 2 * i;
      const bool has_low = row < args.num_rows && depth < args.depth;
      const bool has_high = row < args.num_rows && depth + 1 < args.depth;
      rounded[i] = PackBf16(has_low ? x[depth] : 0.0f, has_high ? x[depth + 1] : 0.0f);
    }
    auto* const blocks = reinterpret_cast<Vec<uint32_t, 4>*>(args.blocks);
    blocks[int64_t{block} * kWarpSize + LaneIndex()] = rounded;
  }
};

// The largest number of a type of a byte, and the bits of a number that is rounded to it.
struct ToInt8 {
  static constexpr float kLargest = 127.0f;
  SIMT_DEVICE static uint32_t Bits(float x) { return static_cast<uint32_t>(RoundToInt(x)) & 0xffu; }
};
struct ToFp8 {
  static constexpr float kLargest = 448.0f;
  SIMT_DEVICE static uint32_t Bits(float x) { return FloatToFp8(x); }
};

// Rounds each row to a type of a byte by its largest magnitude; to int8 as
// ConvertKernels::float32_to_uint8 does for a CPU. A block takes a row, which it reads twice.
template <typename To>
struct QuantizeInput {
  using Args = RoundInputArgs;
  static constexpr int kThreads = 512;
  static constexpr size_t kSharedBytes = kThreads / kWarpSize * sizeof(float);

  // Returns the largest magnitude of a row; infinity if a number is not finite.
  SIMT_DEVICE static float LargestMagnitude(const float* x, int depth) {
    float max = 0.0f;
#pragma unroll 8
    for (int d = ThreadIndex(); d < depth; d += kThreads) {
      const float magnitude = Abs(x[d]);
      // A comparison with NaN is false.
      max = magnitude <= kLargestFloat ? (magnitude > max ? magnitude : max) : kInfinity;
    }
    for (int mask = kWarpSize / 2; mask > 0; mask /= 2) {
      const float other = ShuffleXor(max, mask);
      max = other > max ? other : max;
    }
    auto* const of_warps = reinterpret_cast<float*>(SharedMemory());
    if (LaneIndex() == 0) of_warps[WarpIndex()] = max;
    SyncThreads();
#pragma unroll
    for (int warp = 0; warp < kThreads / kWarpSize; ++warp) {
      max = of_warps[warp] > max ? of_warps[warp] : max;
    }
    return max;
  }

  SIMT_DEVICE void operator()(const Args& args) const {
    const int row = BlockIndex().x;
    const bool is_row = row < args.num_rows;
    const float* const x = args.x + row * args.x_stride;
    float inverse = 0.0f;
    if (is_row) {
      const float max = LargestMagnitude(x, args.depth);
      const bool is_finite = max <= kLargestFloat;
      // Below this the quotient overflows, and no product differs from zero. A row that is not
      // finite has zeros, and a scale that makes its products NaN.
      inverse = is_finite && max > 0x1p-119f ? To::kLargest / max : 0.0f;
      if (ThreadIndex() == 0) {
        args.scales[row] = is_finite ? max / To::kLargest : kInfinity - kInfinity;
      }
    }
    std::byte* const blocks = args.blocks +
                              int64_t{row / kTileRows} * args.num_blocks * kInputBlockBytes +
                              row % kTileRows * kInputRowBytes;
    const int num_words = args.num_blocks * kInputRowBytes / 4;
    for (int word = ThreadIndex(); word < num_words; word += kThreads) {
      uint32_t bytes = 0;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int depth = 4 * word + i;
        if (inverse == 0.0f || depth >= args.depth) continue;
        bytes |= To::Bits(x[depth] * inverse) << (8 * i);
      }
      reinterpret_cast<uint32_t*>(blocks + word / 16 * kInputBlockBytes)[word % 16] = bytes;
    }
  }

 private:
  static constexpr float kInfinity = std::numeric_limits<float>::infinity();
  static constexpr float kLargestFloat = std::numeric_limits<float>::max();
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_GEMM_ROUND_INPUT_CUH_
