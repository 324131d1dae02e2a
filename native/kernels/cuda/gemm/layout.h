#ifndef AUTOGLM_KERNELS_CUDA_GEMM_LAYOUT_H_
#define AUTOGLM_KERNELS_CUDA_GEMM_LAYOUT_H_

#include <cstddef>
#include <cstdint>

#include "base/weight_format.h"
#include "kernels/ops.h"

// How a packed weight and the rounded input of a product lie in the memory of a GPU.
//
// Both lie as mma.sync takes them, so that a lane loads its part of a fragment by one load of 16
// bytes and a warp loads 512 bytes without gaps. What a fragment calls depths 2t, 2t+1, 2t+8 and
// 2t+9 of an instruction are neighbouring depths of memory: a sum over the depth may name them as
// it likes, if both factors agree. Lane 4g + t then holds a run of neighbours of row g.
//
//   weight   [tiles of 16 columns][units][unit_bytes]; a unit is values, then scales, then offsets:
//     values   [blocks of 64 bytes of input][block_bytes], see PlaceOfValue
//     scales   [groups][16] of the format's scale type; for groups longer than a unit, each of
//              their units has them
//     offsets  [groups][16] bfloat16, what weights.cuh adds to an integer as it reads it, if the
//              format has zero points
//   input    [tiles of 8 rows][blocks][8][64 bytes]: 32 bfloat16, or 64 int8 or fp8
//
// A weight that quantizes its input, to int8 or fp8, has one scale a column: [16] float32 behind the
// units of each tile. What is added at the ends of depth and columns is zeros.

namespace autoglm::cuda {

// Rows and columns of an instruction.
inline constexpr int kTileColumns = 16;
inline constexpr int kTileRows = 8;
// Bytes of a row of the rounded input in a block, and of a tile of rows.
inline constexpr int kInputRowBytes = 64;
inline constexpr int kInputBlockBytes = kTileRows * kInputRowBytes;
// A sum over the depth is a sum, in order, of the sums of chunks of so many depths. It does not
// matter to its bits which block computes a chunk.
inline constexpr int kChunkDepth = 1024;

// The numbers of a weight as kernels tell them apart.
enum class WeightNumbers : uint8_t {
  kFloat32,
  kBfloat16,
  kFloat16,
  kInt8,
  kInt4,
  kFp8,
  kInt8ByInt8,
  kFp8ByFp8
};

constexpr WeightNumbers NumbersOf(const WeightFormat& format) {
  switch (format.type) {
    case WeightType::kFloat32:
      return WeightNumbers::kFloat32;
    case WeightType::kBfloat16:
      return WeightNumbers::kBfloat16;
    case WeightType::kFloat16:
      return WeightNumbers::kFloat16;
    case WeightType::kInt8:
      return format.quantizes_input ? WeightNumbers::kInt8ByInt8 : WeightNumbers::kInt8;
    case WeightType::kInt4:
      return WeightNumbers::kInt4;
    case WeightType::kFp8:
      return format.quantizes_input ? WeightNumbers::kFp8ByFp8 : WeightNumbers::kFp8;
  }
  return WeightNumbers::kFloat32;
}

// Returns true if the numbers have a byte each and are multiplied as bfloat16, group by group.
constexpr bool AreWidenedBytes(WeightNumbers numbers) {
  return numbers == WeightNumbers::kInt8 || numbers == WeightNumbers::kFp8;
}

// Returns true if the numbers are integers or fp8 that are multiplied as bfloat16, group by group.
constexpr bool HasGroups(WeightNumbers numbers) {
  return AreWidenedBytes(numbers) || numbers == WeightNumbers::kInt4;
}

// Returns true if both factors of a product are numbers of a byte, with scales of columns and rows.
constexpr bool QuantizesInput(WeightNumbers numbers) {
  return numbers == WeightNumbers::kInt8ByInt8 || numbers == WeightNumbers::kFp8ByFp8;
}

// Depths of a block: of 64 bytes of input, or of 32 numbers that are multiplied one by one.
constexpr int BlockDepth(WeightNumbers numbers) { return QuantizesInput(numbers) ? 64 : 32; }

// Bytes of the values of a block of 16 columns.
constexpr int BlockBytes(WeightNumbers numbers) {
  switch (numbers) {
    case WeightNumbers::kFloat32:
      return 2048;
    case WeightNumbers::kBfloat16:
    case WeightNumbers::kFloat16:
    case WeightNumbers::kInt8ByInt8:
    case WeightNumbers::kFp8ByFp8:
      return 1024;
    case WeightNumbers::kInt8:
    case WeightNumbers::kFp8:
      return 512;
    case WeightNumbers::kInt4:
      return 256;
  }
  return 0;
}

// Blocks of a unit, which is what a step of a product's pipeline loads of each tile. Numbers with
// groups take the depth of the usual group, 128.
constexpr int UnitBlocks(WeightNumbers numbers) { return HasGroups(numbers) ? 4 : 2; }

constexpr int UnitDepth(WeightNumbers numbers) { return UnitBlocks(numbers) * BlockDepth(numbers); }

constexpr int UnitValueBytes(WeightNumbers numbers) {
  return UnitBlocks(numbers) * BlockBytes(numbers);
}

// Place of the number of a column of 0..15 and a depth of a block among the block's values: its
// first byte, and for int4 the number of bits it is shifted there.
struct ValuePlace {
  int byte;
  int shift;
};

constexpr ValuePlace PlaceOfValue(WeightNumbers numbers, int column, int depth) {
  const int lane = column % 8 * 4 + depth / 8;
  switch (numbers) {
    case WeightNumbers::kFloat32:
      return {(column * 32 + depth) * 4, 0};
    case WeightNumbers::kBfloat16:
    case WeightNumbers::kFloat16:
      return {(column * 32 + depth) * 2, 0};
    case WeightNumbers::kInt8ByInt8:
    case WeightNumbers::kFp8ByFp8:
      return {column * 64 + depth, 0};
    case WeightNumbers::kInt8:
    case WeightNumbers::kFp8:
      // A word has depths 0, 2, 1, 3: a mask takes the bytes of one pair of bfloat16.
      return {lane * 16 + column / 8 * 8 + depth % 8 / 4 * 4 + (depth % 2 * 2 + depth % 4 / 2), 0};
    case WeightNumbers::kInt4: {
      // A word has eight depths: a mask takes depths 2p and 2p + 1 of the word shifted by 4p.
      const int nibble = depth % 8 / 2 + depth % 2 * 4;
      return {lane * 8 + column / 8 * 4 + nibble / 2, nibble % 2 * 4};
    }
  }
  return {0, 0};
}

// Returns what is added to an integer of a group when it is read: minus the zero point, and for
// int4, which lies as 0..15 and is read with 128 above it, minus 136.
constexpr float OffsetOf(WeightNumbers numbers, int zero_point) {
  return static_cast<float>(-zero_point - (numbers == WeightNumbers::kInt4 ? 136 : 0));
}

// Sizes of a packed weight.
struct GemmLayout {
  int unit_bytes;
  int unit_groups;    // at least 1; 0 without groups
  int offsets_begin;  // of a unit's bytes
  int64_t num_tiles;
  int64_t num_units;  // of a tile
  int64_t tile_bytes;

  int64_t bytes() const { return num_tiles * tile_bytes; }
};

GemmLayout LayoutOf(const WeightShape& shape);

// Oldest GPU whose tensor cores multiply fp8: capability 8.9.
inline constexpr int kFp8Capability = 89;

// Refuses formats that the kernels do not multiply on a GPU of this capability.
Status CheckGemmFormat(const WeightFormat& format, int capability);

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_GEMM_LAYOUT_H_
