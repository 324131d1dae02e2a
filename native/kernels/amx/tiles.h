#ifndef AUTOGLM_KERNELS_AMX_TILES_H_
#define AUTOGLM_KERNELS_AMX_TILES_H_

#include <cstdint>

namespace autoglm::kernels {
namespace {

// A tile register holds 16 rows of 64 bytes: 16 x 16 sums of float32 or int32, or inputs of 16 rows,
// or the weights of 16 columns.
inline constexpr int64_t kTileRows = 16;
inline constexpr int64_t kTileColumns = 16;
inline constexpr int64_t kTileRowBytes = 64;
inline constexpr int kNumTiles = 8;

// Shapes of the tile registers, in the layout that the processor reads (Intel 64 and IA-32
// Architectures Software Developer's Manual, volume 2, LDTILECFG).
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};  // of each tile, at most kTileRowBytes
  uint8_t rows[16] = {};        // of each tile, at most kTileRows

  void Set(int tile, int64_t num_rows, int64_t num_bytes) {
    rows[tile] = static_cast<uint8_t>(num_rows);
    row_bytes[tile] = static_cast<uint16_t>(num_bytes);
  }
};

// The contents of a whole register in memory.
struct alignas(64) TileBytes {
  uint8_t row[kTileRows][kTileRowBytes];
};

// The tile registers of the calling thread. Kernels are templates over this class, so that tests
// can run them on machines without tiles; no two functions of this class may be reordered with
// accesses to memory.
struct AmxTiles {
  // Gives the registers their shapes and sets them to zero.
  static void Configure(const TileConfig& config) {
    asm volatile("ldtilecfg %0" ::"m"(config) : "memory");
  }
  // Ends the use of the registers: the system need no longer save them.
  static void Release() { asm volatile("tilerelease" ::: "memory"); }

  template <int kTile>
  static void Zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
  }

  // Reads the rows of a tile, `stride` bytes apart.
  template <int kTile>
  static void Load(const void* rows, int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(rows), "r"(stride), "i"(kTile) : "memory");
  }

  // Writes the rows of a tile, `stride` bytes apart.
  template <int kTile>
  static void Store(void* rows, int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(rows), "r"(stride), "i"(kTile) : "memory");
  }

  // TDPBF16PS: adds to row m, column n of the sums the products of the bfloat16 in row m of a with
  // column n of b. Row k of b holds pairs of bfloat16, of depths 2k and 2k + 1. The products of even
  // and of odd depths are added apart, in order, by fused multiply-adds in float32; the total of
  // both is added to the sum. Each rounding is to nearest, and subnormal numbers are zero.
  template <int kSums, int kA, int kB>
  static void AddPairDots() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kA), "i"(kB));
  }

  // TDPBUSD: adds the products of the uint8 in row m of a with the int8 in column n of b to sums of
  // int32. Row k of b holds four int8 of each column, of depths 4k .. 4k + 3.
  template <int kSums, int kA, int kB>
  static void AddByteDots() {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kA), "i"(kB));
  }
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AMX_TILES_H_
