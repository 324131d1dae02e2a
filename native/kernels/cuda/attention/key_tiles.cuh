#ifndef AUTOGLM_KERNELS_CUDA_ATTENTION_KEY_TILES_CUH_
#define AUTOGLM_KERNELS_CUDA_ATTENTION_KEY_TILES_CUH_

#include "kernels/cuda/attention/rows.cuh"
#include "kernels/cuda/simt.h"

namespace autoglm::cuda {

// Keys and values on their way from a cache to the tiles of shared memory.

using Bytes16 = Vec<uint32_t, 4>;

// Rows of bfloat16 in shared memory, in pieces of eight. The pieces of a row are permuted by its
// number, so that neither the rows of a matrix nor the pieces of a row share banks.
template <int kRows, int kColumns>
class HalfTile {
 public:
  static constexpr int kPieces = kColumns / 8;
  static_assert(kColumns % 8 == 0 && kPieces % 4 == 0);

  SIMT_DEVICE const Bytes16* Piece(int row, int piece) const {
    return &pieces_[PlaceOf(row, piece)];
  }
  SIMT_DEVICE Bytes16* Piece(int row, int piece) { return &pieces_[PlaceOf(row, piece)]; }
  // Sets numbers 2 * word and 2 * word + 1 of a piece.
  SIMT_DEVICE void StoreWord(int row, int piece, int word, uint32_t value) {
    pieces_[PlaceOf(row, piece)][word] = value;
  }
  // Returns true if a piece has infinity or NaN.
  SIMT_DEVICE bool HasNonFinite(int row, int piece) const {
    const Bytes16 words = *Piece(row, piece);
    bool found = false;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      found = found || (words[i] & 0x7f80u) == 0x7f80u || (words[i] & 0x7f800000u) == 0x7f800000u;
    }
    return found;
  }

 private:
  static SIMT_DEVICE int PlaceOf(int row, int piece) {
    // Two rows of four pieces share a line of banks.
    return row * kPieces + (piece ^ (kPieces >= 8 ? row % 8 : row / 2 % 4));
  }

  Bytes16 pieces_[kRows * kPieces];
};

// Where the rows of two segments lie, and with what they are multiplied.
template <KvDtype kDtype>
class KeyPlaces {
 public:
  SIMT_DEVICE void Set(const KeyLayout& kv, const RowTile& tile, int key, bool exists) {
    rows_[Index(key)] = exists ? PlaceOf(kv, tile, key) : 0;
  }
  SIMT_DEVICE int64_t RowOf(int key) const { return rows_[Index(key)]; }
  SIMT_DEVICE float KeyScale(int) const { return 1.0f; }
  SIMT_DEVICE float ValueScale(int) const { return 1.0f; }

 private:
  static SIMT_DEVICE int Index(int key) { return key % (2 * kSegmentKeys); }

  int64_t rows_[2 * kSegmentKeys];
};

template <>
class KeyPlaces<KvDtype::kInt8> {
 public:
  SIMT_DEVICE void Set(const KeyLayout& kv, const RowTile& tile, int key, bool exists) {
    const int64_t scale = exists ? ScalePlaceOf(kv, tile, key) : 0;
    rows_[Index(key)] = exists ? PlaceOf(kv, tile, key) : 0;
    scales_[0][Index(key)] = exists ? *reinterpret_cast<const float*>(kv.keys + scale) : 0.0f;
    scales_[1][Index(key)] = exists ? *reinterpret_cast<const float*>(kv.values + scale) : 0.0f;
  }
  SIMT_DEVICE int64_t RowOf(int key) const { return rows_[Index(key)]; }
  SIMT_DEVICE float KeyScale(int key) const { return scales_[0][Index(key)]; }
  SIMT_DEVICE float ValueScale(int key) const { return scales_[1][Index(key)]; }

 private:
  static SIMT_DEVICE int Index(int key) { return key % (2 * kSegmentKeys); }

  int64_t rows_[2 * kSegmentKeys];
  float scales_[2][2 * kSegmentKeys];  // of keys, of values
};

// Reads rows of keys or values. Rows from `end` on are zeros.
template <KvDtype kDtype>
struct KeyLoader {
  const KeyLayout& kv;
  const RowTile& tile;
  int end;
  KeyPlaces<kDtype>& places;

  // Finds the places of a segment's keys; a barrier must follow.
  template <int kThreads>
  SIMT_DEVICE void FindPlaces(int segment) const {
    for (int i = ThreadIndex(); i < kSegmentKeys; i += kThreads) {
      const int key = segment * kSegmentKeys + i;
      places.Set(kv, tile, key, key < end);
    }
  }

  // Begins to copy 16 bytes of a row from number `dim` on to shared memory.
  SIMT_DEVICE void CopyPiece(const std::byte* plane, int key, int dim, Bytes16* target) const {
    const bool exists = key < end && dim < kv.head_dim;
    const std::byte* row = plane + (exists ? places.RowOf(key) : 0);
    if (kv.is_aligned) {
      CopyAsync16(target, row + (exists ? dim : 0) * kNumberBytes, exists);
      return;
    }
    constexpr int kNumbersPerWord = 4 / kNumberBytes;
    Bytes16 words;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      words[i] = 0;
#pragma unroll
      for (int j = 0; j < kNumbersPerWord; ++j) {
        const int at = dim + i * kNumbersPerWord + j;
        const uint32_t number = exists && at < kv.head_dim ? ReadNumber(row, at) : 0;
        words[i] |= number << (8 * kNumberBytes * j);
      }
    }
    *target = words;
  }

  static constexpr int kNumberBytes = kDtype == KvDtype::kInt8 ? 1 : 2;

 private:
  SIMT_DEVICE uint32_t ReadNumber(const std::byte* row, int dim) const {
    if (kDtype == KvDtype::kInt8) return reinterpret_cast<const uint8_t*>(row)[dim];
    if (kv.dtype == KvDtype::kBfloat16) return reinterpret_cast<const uint16_t*>(row)[dim];
    return FloatToBf16(reinterpret_cast<const float*>(row)[dim]);
  }
};

// Tiles of keys, or of values, in turn: bfloat16 enters as it lies.
template <int kKeys, int kDims, KvDtype kDtype, int kStages>
class KeyTiles {
 public:
  // Begins to copy a tile, as one group.
  template <int kThreads>
  SIMT_DEVICE void Fetch(const KeyLoader<kDtype>& loader, const std::byte* plane, int tile) {
    constexpr int kPieces = kDims / 8;
    HalfTile<kKeys, kDims>& target = stages_[tile % kStages];
    if (tile * kKeys < loader.end) {
#pragma unroll 2
      for (int row = ThreadIndex() / kPieces; row < kKeys; row += kThreads / kPieces) {
        const int piece = ThreadIndex() % kPieces;
        loader.CopyPiece(plane, tile * kKeys + row, piece * 8, target.Piece(row, piece));
      }
    }
    CopyAsyncCommit();
  }
  // Makes a tile ready that all threads have waited for.
  template <int kThreads>
  SIMT_DEVICE void Place(int) {}
  SIMT_DEVICE HalfTile<kKeys, kDims>& At(int tile) { return stages_[tile % kStages]; }

 private:
  HalfTile<kKeys, kDims> stages_[kStages];
};

// Turns four bytes, 128 too large, into four bfloat16, which is exact.
SIMT_DEVICE Vec<uint32_t, 2> WidenBytes(uint32_t bytes) {
  float wide[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    // The bits of 2^23 + byte.
    const uint32_t bits = PermuteBytes(bytes, 0x4b000000u, 0x7440u + static_cast<uint32_t>(i));
    wide[i] = std::bit_cast<float>(bits) - (8388608.0f + 128.0f);
  }
  Vec<uint32_t, 2> words;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    words[i] = PermuteBytes(std::bit_cast<uint32_t>(wide[2 * i]),
                            std::bit_cast<uint32_t>(wide[2 * i + 1]), 0x7632u);
  }
  return words;
}

// int8 is copied as it lies, and becomes bfloat16 when its turn comes.
template <int kKeys, int kDims, int kStages>
class KeyTiles<kKeys, kDims, KvDtype::kInt8, kStages> {
 public:
  template <int kThreads>
  SIMT_DEVICE void Fetch(const KeyLoader<KvDtype::kInt8>& loader, const std::byte* plane,
                         int tile) {
    if (tile * kKeys < loader.end) {
#pragma unroll 2
      for (int row = ThreadIndex() / kPieces; row < kKeys; row += kThreads / kPieces) {
        const int piece = ThreadIndex() % kPieces;
        loader.CopyPiece(plane, tile * kKeys + row, piece * 16,
                         &stages_[tile % kStages][row * kPieces + piece]);
      }
    }
    CopyAsyncCommit();
  }
  template <int kThreads>
  SIMT_DEVICE void Place(int tile) {
    for (int i = ThreadIndex(); i < kKeys * kPieces; i += kThreads) {
      const Bytes16 bytes = stages_[tile % kStages][i];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const Vec<uint32_t, 2> low = WidenBytes(bytes[2 * half]);
        const Vec<uint32_t, 2> high = WidenBytes(bytes[2 * half + 1]);
        *tile_.Piece(i / kPieces, i % kPieces * 2 + half) = {{low[0], low[1], high[0], high[1]}};
      }
    }
    SyncThreads();
  }
  SIMT_DEVICE HalfTile<kKeys, kDims>& At(int) { return tile_; }

 private:
  static constexpr int kPieces = kDims / 16;

  HalfTile<kKeys, kDims> tile_;
  Bytes16 stages_[kStages][kKeys * kPieces];
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_ATTENTION_KEY_TILES_CUH_
