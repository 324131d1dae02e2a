#ifndef AUTOGLM_TEST_NATIVE_SOFTWARE_TILES_H_
#define AUTOGLM_TEST_NATIVE_SOFTWARE_TILES_H_

#include <cstdint>

#include "kernels/amx/tiles.h"

namespace autoglm::kernels {
namespace {

// The tile registers in plain C++, with the names of AmxTiles and the arithmetic that Intel
// documents (Software Developer's Manual, volume 2, TDPBF16PS and TDPBUSD), so that kernels on tiles
// can be tested on machines without them. What a processor would refuse with a signal ends the test.
// Uses built-ins only: it is compiled for an instruction set, where an inline function of a header
// would be emitted as a weak symbol.
struct SoftwareTiles {
  static void Configure(const TileConfig& config) {
    State& state = Registers();
    Require(config.palette == 1);
    for (int tile = 0; tile < kNumTiles; ++tile) {
      Require(config.rows[tile] <= kTileRows && config.row_bytes[tile] <= kTileRowBytes);
    }
    state = {};
    state.is_configured = true;
    state.config = config;
  }

  static void Release() { Registers() = {}; }

  template <int kTile>
  static void Zero() {
    TileAt(kTile) = {};
  }

  template <int kTile>
  static void Load(const void* rows, int64_t stride) {
    Tile& tile = TileAt(kTile);
    tile = {};
    for (int64_t row = 0; row < RowsOf(kTile); ++row) {
      __builtin_memcpy(tile.bytes[row], static_cast<const char*>(rows) + row * stride, BytesOf(kTile));
    }
  }

  template <int kTile>
  static void Store(void* rows, int64_t stride) {
    const Tile& tile = TileAt(kTile);
    for (int64_t row = 0; row < RowsOf(kTile); ++row) {
      __builtin_memcpy(static_cast<char*>(rows) + row * stride, tile.bytes[row], BytesOf(kTile));
    }
  }

  template <int kSums, int kA, int kB>
  static void AddPairDots() {
    RequireShapes(kSums, kA, kB);
    for (int64_t m = 0; m < RowsOf(kSums); ++m) {
      for (int64_t n = 0; n < BytesOf(kSums) / 4; ++n) {
        float parts[2] = {0.0f, 0.0f};
        for (int64_t k = 0; k < BytesOf(kA) / 4; ++k) {
          for (int64_t i = 0; i < 2; ++i) {
            const float a = Widen(At<uint16_t>(kA, m, 2 * k + i));
            const float b = Widen(At<uint16_t>(kB, k, 2 * n + i));
            parts[i] = Flush(__builtin_fmaf(a, b, parts[i]));
          }
        }
        float& sum = At<float>(kSums, m, n);
        sum = Flush(Flush(sum) + Flush(parts[0] + parts[1]));
      }
    }
  }

  template <int kSums, int kA, int kB>
  static void AddByteDots() {
    RequireShapes(kSums, kA, kB);
    for (int64_t m = 0; m < RowsOf(kSums); ++m) {
      for (int64_t n = 0; n < BytesOf(kSums) / 4; ++n) {
        int64_t sum = At<int32_t>(kSums, m, n);
        for (int64_t k = 0; k < BytesOf(kA) / 4; ++k) {
          for (int64_t i = 0; i < 4; ++i) {
            sum += At<uint8_t>(kA, m, 4 * k + i) * At<int8_t>(kB, k, 4 * n + i);
          }
        }
        At<uint32_t>(kSums, m, n) = static_cast<uint32_t>(sum);
      }
    }
  }

 private:
  struct Tile {
    alignas(64) char bytes[kTileRows][kTileRowBytes] = {};
  };
  struct State {
    bool is_configured = false;
    TileConfig config;
    Tile tiles[kNumTiles];
  };

  static State& Registers() {
    thread_local State state;
    return state;
  }
  static void Require(bool condition) {
    if (!condition) __builtin_abort();
  }
  static Tile& TileAt(int tile) {
    Require(Registers().is_configured);
    return Registers().tiles[tile];
  }
  static int64_t RowsOf(int tile) { return Registers().config.rows[tile]; }
  static int64_t BytesOf(int tile) { return Registers().config.row_bytes[tile]; }
  template <typename Value>
  static Value& At(int tile, int64_t row, int64_t column) {
    return reinterpret_cast<Value*>(TileAt(tile).bytes[row])[column];
  }
  static void RequireShapes(int sums, int a, int b) {
    Require(sums != a && sums != b && a != b);
    Require(RowsOf(sums) == RowsOf(a) && BytesOf(sums) == BytesOf(b));
    Require(BytesOf(a) % 4 == 0 && BytesOf(a) / 4 == RowsOf(b));
  }
  static float Flush(float value) {
    return __builtin_fabsf(value) < 0x1p-126f ? __builtin_copysignf(0.0f, value) : value;
  }
  static float Widen(uint16_t bfloat16) {
    const uint32_t bits = uint32_t{bfloat16} << 16;
    float value = 0.0f;
    __builtin_memcpy(&value, &bits, sizeof(value));
    return Flush(value);
  }
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_TEST_NATIVE_SOFTWARE_TILES_H_
