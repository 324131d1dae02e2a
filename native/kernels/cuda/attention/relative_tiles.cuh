#ifndef AUTOGLM_KERNELS_CUDA_ATTENTION_RELATIVE_TILES_CUH_
#define AUTOGLM_KERNELS_CUDA_ATTENTION_RELATIVE_TILES_CUH_

#include "kernels/cuda/attention/key_tiles.cuh"
#include "kernels/cuda/attention/rows.cuh"

namespace autoglm::cuda {

// The term of relative position of a block's rows, 16 of each warp, and a tile's keys: queries
// times the distances between them, from that of the first row and the last key on. Row r and key j
// are r + kKeys - 1 - j distances from there.
template <int kRows, int kKeys, int kDims, int kThreads>
struct RelativeTiles {
  static constexpr int kDistances = kRows + kKeys;   // and one more
  static constexpr int kColumns = (16 + kKeys) / 8;  // eights of distances of a warp
  static constexpr int kPitch = 16 + kKeys + 4;
  static_assert(kRows == 16 * (kThreads / kWarpSize));

  HalfTile<kRows, kDims> queries;
  HalfTile<kDistances, kDims> distances;
  float products[kThreads / kWarpSize][16][kPitch];

  // Begins to copy the distances to a tile's keys, without ending the group of copies.
  SIMT_DEVICE void Fetch(const AttentionArgs& args, const RowTile& tile, int first_key) {
    constexpr int kPieces = kDims / 8;
    const std::byte* const rows =
        args.relative_rows.rows + tile.kv_head * args.relative_rows.head_bytes;
    const int smallest = tile.queries.first - first_key - (kKeys - 1);
    const int piece = ThreadIndex() % kPieces;
#pragma unroll 2
    for (int i = ThreadIndex() / kPieces; i < kDistances; i += kThreads / kPieces) {
      // The rows are those of the distances from the largest down.
      const int row = args.num_queries - 1 - (smallest + i);
      const bool exists = row >= 0 && row < args.num_queries + args.num_keys - 1 &&
                          8 * piece < args.kv.head_dim;
      CopyAsync16(distances.Piece(i, piece),
                  exists ? rows + row * args.kv.token_bytes + 16 * piece : rows, exists);
    }
  }

  // Adds the term to the scores of a warp, whose first row is `first_row`.
  template <int kScoreColumns>
  SIMT_DEVICE void AddTo(float (&scores)[kScoreColumns][4], int first_row) {
    const int lane = Opaque(LaneIndex());
    float sums[kColumns][4];
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[j][i] = 0.0f;
    }
#pragma unroll
    for (int piece = 0; piece < kDims / 8; piece += 2) {
      const Fragment<4> q = LoadMatrixX4(queries.Piece(first_row + lane % 16, piece + lane / 16));
#pragma unroll
      for (int j = 0; j < kColumns; j += 2) {
        const int distance = first_row + 8 * j + lane / 16 * 8 + lane % 8;
        const Fragment<4> b = LoadMatrixX4(distances.Piece(distance, piece + lane / 8 % 2));
        MmaBf16(sums[j], q.word, {b[0], b[1]});
        MmaBf16(sums[j + 1], q.word, {b[2], b[3]});
      }
    }
    // A product's place among the fragments of scores is another thread's.
    auto& rows = products[WarpIndex()];
    SyncWarp();
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        rows[lane / 4 + i / 2 * 8][8 * j + lane % 4 * 2 + i % 2] = sums[j][i];
      }
    }
    SyncWarp();
#pragma unroll
    for (int j = 0; j < kScoreColumns; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = lane / 4 + i / 2 * 8;
        scores[j][i] += rows[row][row + kKeys - 1 - (8 * j + lane % 4 * 2 + i % 2)];
      }
    }
  }
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_ATTENTION_RELATIVE_TILES_CUH_
