#ifndef AUTOGLM_KERNELS_CUDA_GEMM_PRODUCT_CUH_
#define AUTOGLM_KERNELS_CUDA_GEMM_PRODUCT_CUH_

#include "kernels/cuda/gemm/plan.h"
#include "kernels/cuda/gemm/weights.cuh"

// The one kernel of products on tensor cores, for every kind of weight and any number of rows. The
// weight is the first factor of mma.sync, so that 16 columns by 8 rows are the least that is
// computed; a block computes kShape of them. Each step copies one unit of depth of its weights, and
// of its input, to shared memory, some steps ahead (cp.async), and multiplies one that has come.
//
// A number of y is the sum, in order, of chunks of kChunkDepth depths, each of which starts from
// zero. With few rows or columns, each block computes one chunk; the last of a tile's adds them.
// Otherwise a block computes all chunks of its tile. Every shape and both ways give a row the same
// bits, so the launcher may choose by the number of rows.

namespace autoglm::cuda {

struct ProductArgs {
  const std::byte* weight;  // packed
  int unit_bytes;
  int group_mask;     // blocks of a group in a unit, 1, 2 or 4, minus 1
  int offsets_begin;  // of a unit's bytes
  Dtype scale_dtype;
  int num_units;       // of depth
  int num_tiles;       // of 16 columns
  int64_t tile_bytes;  // of the weight

  const std::byte* x_blocks;   // rounded input, if the shape does not convert it
  int64_t x_tile_bytes;        // of 8 rows
  const float* x_rows;         // [num_rows, depth], if the shape converts it
  int64_t x_stride;
  const float* x_scales;       // [num_rows], of an input of int8 or fp8

  const float* bias;  // [num_columns] or null
  float* y;           // [num_rows, num_columns]
  int64_t y_stride;
  int num_rows;
  int num_columns;
  int depth;

  int num_row_blocks;
  int num_column_blocks;
  int units_per_block;  // of depth: all, or those of a chunk
  void* partials;       // [blocks of y][chunks][numbers of a thread][threads], float or int
  unsigned* arrivals;   // [blocks of y], zeros before and after
};

template <typename Weight, RowCount kRowCount>
struct Product {
  using Args = ProductArgs;
  using Sum = typename Weight::Sum;
  static constexpr WeightNumbers kNumbers = Weight::kNumbers;
  static constexpr BlockShape kShape = ShapeOf(kRowCount, kNumbers);
  static constexpr int kThreads = kShape.column_warps * kShape.row_warps * kWarpSize;
  static constexpr int kMinBlocks = kShape.min_blocks;

  static constexpr int kBlockTiles = kShape.column_warps * kShape.column_tiles;
  static constexpr int kBlockRowTiles = kShape.row_warps * kShape.row_tiles;
  static constexpr int kNumSums = kShape.column_tiles * kShape.row_tiles * 4;  // of a thread

  static constexpr bool kHasGroups = HasGroups(kNumbers);
  static constexpr int kUnitDepth = UnitDepth(kNumbers);
  static constexpr int kUnitBlocks = UnitBlocks(kNumbers);
  static constexpr int kUnitsPerChunk = kChunkDepth / kUnitDepth;
  static_assert(kChunkDepth % kUnitDepth == 0);

  static constexpr bool kConvertsInput = ConvertsInput(kRowCount, kNumbers);
  static constexpr int kUnitInputBytes = kUnitBlocks * kInputBlockBytes;  // of 8 rows
  static constexpr int kStageInputBytes = kConvertsInput ? 0 : kBlockRowTiles * kUnitInputBytes;
  static constexpr int kChunkInputBytes = kConvertsInput ? kUnitsPerChunk * kUnitInputBytes : 0;

  static constexpr int StageBytes(int unit_bytes) {
    return kBlockTiles * unit_bytes + kStageInputBytes;
  }
  static constexpr size_t SharedBytes(int unit_bytes) {
    return static_cast<size_t>(kShape.num_stages * StageBytes(unit_bytes) + kChunkInputBytes);
  }

  // A thread's sums: of columns g and g + 8 and rows 2t and 2t + 1 of each tile.
  struct Sums {
    Sum at[kShape.column_tiles][kShape.row_tiles][4];

    SIMT_DEVICE void Clear() {
      for (auto& columns : at) {
        for (auto& tile : columns) {
          for (Sum& sum : tile) sum = 0;
        }
      }
    }
  };

  // The block's place in y and in the depth.
  struct Place {
    int tile;      // of columns, the first
    int row_tile;  // the first
    int first_unit;
    int end_unit;
  };

  SIMT_DEVICE static Place FindPlace(const Args& args) {
    // Blocks run through bands of rows, a column of blocks after another, so that those at work
    // together share both factors in the cache.
    constexpr int kBandBlocks = 16;
    const int band_blocks = kBandBlocks * args.num_column_blocks;
    const int block = BlockIndex().x;
    const int band = block / band_blocks;
    const int in_band = block % band_blocks;
    const int rows_left = args.num_row_blocks - band * kBandBlocks;
    const int band_rows = rows_left < kBandBlocks ? rows_left : kBandBlocks;
    const int row_block = band * kBandBlocks + in_band % band_rows;
    const int column_block = in_band / band_rows;
    const int first_unit = BlockIndex().y * args.units_per_block;
    const int last_unit = first_unit + args.units_per_block;
    return {column_block * kBlockTiles, row_block * kBlockRowTiles, first_unit,
            last_unit < args.num_units ? last_unit : args.num_units};
  }

  // Starts to copy a unit of the block's weights and input to a stage.
  SIMT_DEVICE static void StartCopies(const Args& args, const Place& place, int unit,
                                      std::byte* stage) {
    constexpr int kValuePieces = UnitValueBytes(kNumbers) / 16;
    for (int piece = ThreadIndex(); piece < kBlockTiles * kValuePieces; piece += kThreads) {
      const int tile = piece / kValuePieces;
      const int offset = piece % kValuePieces * 16;
      CopyWeights(args, place, unit, tile, offset, stage);
    }
    if constexpr (kHasGroups) {
      for (int tile = WarpIndex(); tile < kBlockTiles; tile += kThreads / kWarpSize) {
        const int offset = UnitValueBytes(kNumbers) + LaneIndex() * 16;
        if (offset < args.unit_bytes) CopyWeights(args, place, unit, tile, offset, stage);
      }
    }
    if constexpr (!kConvertsInput) {
      constexpr int kInputPieces = kUnitInputBytes / 16;
      std::byte* const target = stage + kBlockTiles * args.unit_bytes;
      const int num_row_tiles = (args.num_rows + kTileRows - 1) / kTileRows;
      for (int piece = ThreadIndex(); piece < kBlockRowTiles * kInputPieces; piece += kThreads) {
        const int row_tile = place.row_tile + piece / kInputPieces;
        const bool is_valid = row_tile < num_row_tiles;
        const int64_t offset = is_valid ? row_tile * args.x_tile_bytes +
                                              int64_t{unit} * kUnitInputBytes +
                                              piece % kInputPieces * 16
                                        : 0;
        CopyAsync16(target + piece * 16, args.x_blocks + offset, is_valid);
      }
    }
  }

  SIMT_DEVICE static void CopyWeights(const Args& args, const Place& place, int unit, int tile,
                                      int offset, std::byte* stage) {
    const bool is_valid = place.tile + tile < args.num_tiles;
    const int64_t source = is_valid ? (place.tile + tile) * args.tile_bytes +
                                          int64_t{unit} * args.unit_bytes + offset
                                    : 0;
    CopyAsync16(stage + tile * args.unit_bytes + offset, args.weight + source, is_valid);
  }

  // Rounds the rows of the block's chunk to blocks of bfloat16. A thread loads four depths of all
  // rows before it uses the first. Rows beyond the input are not written, and not read.
  SIMT_DEVICE static void ConvertInput(const Args& args, const Place& place, std::byte* blocks) {
    constexpr int kQuads = kChunkDepth / 4 / kThreads;  // of a thread, of a row
    static_assert(kQuads * 4 * kThreads == kChunkDepth);
    const int first_row = place.row_tile * kTileRows;
    const int first_depth = place.first_unit * kUnitDepth;
    const int end_depth = place.end_unit * kUnitDepth;
    Vec<float, 4> x[kQuads][kTileRows];
#pragma unroll
    for (int i = 0; i < kQuads; ++i) {
      const int depth = first_depth + (i * kThreads + ThreadIndex()) * 4;
#pragma unroll
      for (int row = 0; row < kTileRows; ++row) {
        x[i][row] = {};
        if (first_row + row >= args.num_rows || depth >= args.depth) continue;
        const float* const at = args.x_rows + (first_row + row) * args.x_stride + depth;
        x[i][row] = *reinterpret_cast<const Vec<float, 4>*>(at);
      }
    }
#pragma unroll
    for (int i = 0; i < kQuads; ++i) {
      const int quad = i * kThreads + ThreadIndex();
      if (first_depth + quad * 4 >= end_depth) continue;
      std::byte* const block = blocks + quad / 8 * kInputBlockBytes + quad % 8 * 8;
#pragma unroll
      for (int row = 0; row < kTileRows; ++row) {
        if (first_row + row >= args.num_rows) continue;
        const Vec<float, 4>& four = x[i][row];
        *reinterpret_cast<Vec<uint32_t, 2>*>(block + row * kInputRowBytes) = {
            PackBf16(four[0], four[1]), PackBf16(four[2], four[3])};
      }
    }
  }

  // Multiplies a unit: weights of the block's tiles by blocks of its input, which lie
  // x_tile_bytes apart from tile to tile.
  SIMT_DEVICE static void MultiplyUnit(const Args& args, const Place& place,
                                       const std::byte* weights, const std::byte* x, Sums& sums,
                                       Sums& chunk) {
    const int column_tile = WarpIndex() % kShape.column_warps * kShape.column_tiles;
    const int row_tile = WarpIndex() / kShape.column_warps * kShape.row_tiles;
    const std::byte* const unit = weights + column_tile * args.unit_bytes;
    const std::byte* const rows = x + row_tile * kUnitInputBytes + LaneIndex() * 16;
    const bool has_row = !kConvertsInput ||
                         place.row_tile * kTileRows + LaneIndex() / 4 < args.num_rows;
    Offsets offsets[kShape.column_tiles] = {};
    int group = 0;
#pragma unroll
    for (int block = 0; block < kUnitBlocks; ++block) {
      if constexpr (Weight::kHasZeroPoints) {
        if ((block & args.group_mask) == 0) LoadOffsets(args, unit, group, offsets);
      }
      WeightFragments<Weight::kNumParts> a[kShape.column_tiles];
#pragma unroll
      for (int m = 0; m < kShape.column_tiles; ++m) {
        Weight::LoadBlock(unit + m * args.unit_bytes + block * BlockBytes(kNumbers), offsets[m],
                          a[m]);
      }
      Vec<uint32_t, 4> b[kShape.row_tiles];
#pragma unroll
      for (int n = 0; n < kShape.row_tiles; ++n) {
        b[n] = {};
        if (!has_row) continue;
        b[n] = *reinterpret_cast<const Vec<uint32_t, 4>*>(rows + n * kUnitInputBytes +
                                                          block * kInputBlockBytes);
      }
      MultiplyBlock(a, b, sums);
      if constexpr (kHasGroups) {
        if (((block + 1) & args.group_mask) == 0) AddGroup(args, unit, group++, sums, chunk);
      }
    }
  }

  SIMT_DEVICE static void MultiplyBlock(
      const WeightFragments<Weight::kNumParts> (&a)[kShape.column_tiles],
      const Vec<uint32_t, 4> (&b)[kShape.row_tiles], Sums& sums) {
#pragma unroll
    for (int step = 0; step < 2; ++step) {
#pragma unroll
      for (int part = 0; part < Weight::kNumParts; ++part) {
#pragma unroll
        for (int n = 0; n < kShape.row_tiles; ++n) {
          const uint32_t pair[2] = {b[n][2 * step], b[n][2 * step + 1]};
#pragma unroll
          for (int m = 0; m < kShape.column_tiles; ++m) {
            Weight::Multiply(sums.at[m][n], a[m].a[part][step], pair);
          }
        }
      }
    }
  }

  SIMT_DEVICE static UnitScales ScalesOf(const Args& args, const std::byte* unit) {
    return {unit + UnitValueBytes(kNumbers), unit + args.offsets_begin, args.scale_dtype};
  }

  SIMT_DEVICE static void LoadOffsets(const Args& args, const std::byte* unit, int group,
                                      Offsets (&offsets)[kShape.column_tiles]) {
#pragma unroll
    for (int m = 0; m < kShape.column_tiles; ++m) {
      const UnitScales scales = ScalesOf(args, unit + m * args.unit_bytes);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        offsets[m].word[half] = scales.Offset(group, LaneIndex() / 4 + 8 * half) * 0x10001u;
      }
    }
  }

  // Adds a group's sums to those of the chunk, each multiplied by its column's scale.
  SIMT_DEVICE static void AddGroup(const Args& args, const std::byte* unit, int group, Sums& sums,
                                   Sums& chunk) {
#pragma unroll
    for (int m = 0; m < kShape.column_tiles; ++m) {
      const UnitScales scales = ScalesOf(args, unit + m * args.unit_bytes);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float scale = scales.Scale(group, LaneIndex() / 4 + 8 * half);
#pragma unroll
        for (int n = 0; n < kShape.row_tiles; ++n) {
#pragma unroll
          for (int i = 2 * half; i < 2 * half + 2; ++i) {
            chunk.at[m][n][i] = Fma(sums.at[m][n][i], scale, chunk.at[m][n][i]);
            sums.at[m][n][i] = 0;
          }
        }
      }
    }
  }

  SIMT_DEVICE static void AddTo(Sums& total, Sums& part) {
#pragma unroll
    for (int m = 0; m < kShape.column_tiles; ++m) {
#pragma unroll
      for (int n = 0; n < kShape.row_tiles; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          total.at[m][n][i] += part.at[m][n][i];
          part.at[m][n][i] = 0;
        }
      }
    }
  }

  // Computes the sums of the block's units.
  SIMT_DEVICE static void Multiply(const Args& args, const Place& place, Sums& total) {
    constexpr int kAhead = kShape.num_stages - 1;
    std::byte* const shared = SharedMemory();
    const int stage_bytes = StageBytes(args.unit_bytes);
    std::byte* const chunk_input = shared + kShape.num_stages * stage_bytes;
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      const int unit = place.first_unit + i;
      if (unit < place.end_unit) StartCopies(args, place, unit, shared + i * stage_bytes);
      CopyAsyncCommit();
    }
    if constexpr (kConvertsInput) ConvertInput(args, place, chunk_input);

    Sums sums;
    Sums chunk;
    sums.Clear();
    if constexpr (kHasGroups) chunk.Clear();
    int stage = 0;
    for (int unit = place.first_unit; unit < place.end_unit; ++unit) {
      CopyAsyncWait<kAhead - 1>();
      SyncThreads();  // the unit has come, and all have read the stage that is filled next
      const int ahead = stage == 0 ? kAhead : stage - 1;
      if (unit + kAhead < place.end_unit) {
        StartCopies(args, place, unit + kAhead, shared + ahead * stage_bytes);
      }
      CopyAsyncCommit();

      const std::byte* const weights = shared + stage * stage_bytes;
      const std::byte* const x =
          kConvertsInput ? chunk_input + (unit - place.first_unit) * kUnitInputBytes
                         : weights + kBlockTiles * args.unit_bytes;
      MultiplyUnit(args, place, weights, x, sums, chunk);
      if ((unit + 1) % kUnitsPerChunk == 0 || unit + 1 == place.end_unit) {
        AddTo(total, kHasGroups ? chunk : sums);
      }
      stage = stage == kAhead ? 0 : stage + 1;
    }
  }

  // Leaves the block's sums to the last of the blocks with chunks of its tile. Returns true in that
  // block, and sets `total` to the sum over all chunks.
  SIMT_DEVICE static bool AddChunks(const Args& args, Sums& total) {
    const int num_chunks = BlockCount().y;
    const int tile = BlockIndex().x;
    Sum* const partials = static_cast<Sum*>(args.partials) +
                          int64_t{tile} * num_chunks * kNumSums * kThreads + ThreadIndex();
    Sum* const own = partials + BlockIndex().y * (kNumSums * kThreads);
    int index = 0;
    for (const auto& columns : total.at) {
      for (const auto& sums : columns) {
        for (const Sum sum : sums) own[index++ * kThreads] = sum;
      }
    }
    ThreadFence();
    SyncThreads();
    // Behind the barrier nobody reads the stages.
    auto* const is_last = reinterpret_cast<int*>(SharedMemory());
    if (ThreadIndex() == 0) {
      const unsigned arrived = AtomicAdd(&args.arrivals[tile], 1u);
      *is_last = arrived + 1 == static_cast<unsigned>(num_chunks) ? 1 : 0;
    }
    SyncThreads();
    if (*is_last == 0) return false;
    ThreadFence();
    total.Clear();
    for (int chunk = 0; chunk < num_chunks; ++chunk) {
      const Sum* const part = partials + chunk * (kNumSums * kThreads);
      int place = 0;
      for (auto& columns : total.at) {
        for (auto& sums : columns) {
          for (Sum& sum : sums) sum += part[place++ * kThreads];
        }
      }
    }
    if (ThreadIndex() == 0) args.arrivals[tile] = 0;
    return true;
  }

  SIMT_DEVICE static void Write(const Args& args, const Place& place, const Sums& total) {
    const int column_tile =
        place.tile + WarpIndex() % kShape.column_warps * kShape.column_tiles;
    const int row_tile = place.row_tile + WarpIndex() / kShape.column_warps * kShape.row_tiles;
#pragma unroll
    for (int m = 0; m < kShape.column_tiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int in_tile = LaneIndex() / 4 + 8 * half;
        const int column = (column_tile + m) * kTileColumns + in_tile;
        if (column >= args.num_columns) continue;
        const float bias = args.bias == nullptr ? 0.0f : args.bias[column];
        const float scale = ColumnScale(args, column_tile + m, in_tile);
#pragma unroll
        for (int n = 0; n < kShape.row_tiles; ++n) {
#pragma unroll
          for (int i = 0; i < 2; ++i) {
            const int row = (row_tile + n) * kTileRows + LaneIndex() % 4 * 2 + i;
            if (row >= args.num_rows) continue;
            float value = static_cast<float>(total.at[m][n][2 * half + i]);
            if constexpr (QuantizesInput(kNumbers)) value = value * scale * args.x_scales[row];
            args.y[row * args.y_stride + column] = value + bias;
          }
        }
      }
    }
  }

  SIMT_DEVICE static float ColumnScale(const Args& args, int tile, int in_tile) {
    if constexpr (QuantizesInput(kNumbers)) {
      const std::byte* const end_of_units =
          args.weight + tile * args.tile_bytes + int64_t{args.num_units} * args.unit_bytes;
      return reinterpret_cast<const float*>(end_of_units)[in_tile];
    } else {
      return 1.0f;
    }
  }

  SIMT_DEVICE void operator()(const Args& args) const {
    const Place place = FindPlace(args);
    Sums total;
    total.Clear();
    Multiply(args, place, total);
    if (BlockCount().y > 1 && !AddChunks(args, total)) return;
    Write(args, place, total);
  }
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_GEMM_PRODUCT_CUH_
