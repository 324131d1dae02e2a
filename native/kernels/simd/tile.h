#ifndef AUTOGLM_KERNELS_SIMD_TILE_H_
#define AUTOGLM_KERNELS_SIMD_TILE_H_

#include <cstdint>

#include "kernels/simd/packed_lanes.h"

namespace autoglm::kernels {
namespace {

// A tile is kRows rows times kVectors vectors of columns whose sums live in registers; V::kTileRows
// and V::kTileVectors fill them. Vectors beyond those of one panel are of the next. Each sum grows by one
// fused multiply-add per depth, strictly in order, so that its bits depend neither on the tile's shape nor on the depth at which a sum was
// stored to memory and loaded again.

template <typename V>
struct Float32Weights {
  const float* data;  // [depth][stride]
  int64_t stride;
  int64_t panel_stride = 0;  // from a panel to the next

  typename V::Float Even(int64_t depth, int vector) const {
    return V::Load(data + vector / V::kTileVectors * panel_stride + depth * stride +
                   vector % V::kTileVectors * V::kWidth);
  }
  typename V::Float Odd(int64_t depth, int vector) const { return Even(depth + 1, vector); }
};

template <typename V>
struct Float16Weights {
  const uint16_t* data;  // [depth][stride]
  int64_t stride;
  int64_t panel_stride = 0;  // from a panel to the next

  typename V::Float Even(int64_t depth, int vector) const {
    return V::LoadFloat16(data + vector / V::kTileVectors * panel_stride + depth * stride +
                          vector % V::kTileVectors * V::kWidth);
  }
  typename V::Float Odd(int64_t depth, int vector) const { return Even(depth + 1, vector); }
};

// The bfloat16 weights of two consecutive depths in one 32-bit lane: widening costs one
// instruction.
template <typename V>
struct PairWeights {
  const uint32_t* data;  // [ceil(depth / 2)][stride]
  int64_t stride;
  int64_t panel_stride;  // from a panel to the next

  const uint32_t* AddressOf(int64_t depth, int vector) const {
    return data + vector / V::kTileVectors * panel_stride + depth / 2 * stride +
           vector % V::kTileVectors * V::kWidth;
  }
  typename V::Pairs At(int64_t depth, int vector) const {
    return V::LoadPairs(AddressOf(depth, vector));
  }
  typename V::Float Even(int64_t depth, int vector) const {
    return V::LowHalves(At(depth, vector));
  }
  typename V::Float Odd(int64_t depth, int vector) const {
    return V::HighHalves(V::ReloadPairs(AddressOf(depth, vector)));
  }
};

template <typename V, int kRows, int kVectors>
struct Tile {
  using Float = typename V::Float;

  Float sums[kRows][kVectors];

  void Clear() {
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sums[row][v] = V::Zero();
    }
  }

  // Adds x[row][0..depth - 1] * weights[0..depth - 1] to sums[row]. Works on a copy of the sums,
  // because vectors may alias any memory: the compiler would write a tile that is visible elsewhere
  // back at every depth. Part of a function that does little else, because what that holds takes
  // registers from the sums: 6 x 2 vectors of avx2 took twice as long in one that did more.
  template <typename Weights>
  [[gnu::always_inline]] void Accumulate(const float* const x[kRows], int64_t depth, Weights weights) {
    Tile local = *this;
    int64_t d = 0;
    for (; d + 1 < depth; d += 2) {
      if constexpr (2 * kRows < kVectors) {
        local.AddTwoDepths(x, d, weights);
      } else {
        local.AddProducts(x, d, [&](int v) { return weights.Even(d, v); });
        local.AddProducts(x, d + 1, [&](int v) { return weights.Odd(d, v); });
      }
    }
    if (d < depth) local.AddProducts(x, d, [&](int v) { return weights.Even(d, v); });
    *this = local;
  }

  // Does the same as Accumulate for rows of bfloat16 on a processor that multiplies pairs: one step
  // takes two depths, and an odd last depth is paired with zero.
  template <typename Next>
  void AccumulatePairs(const uint16_t* const x[kRows], int64_t depth, PairWeights<V> weights,
                       Next next) {
    Tile local = *this;
    int64_t d = 0;
    for (; d + 1 < depth; d += 2) {
      next.template Fetch<V, kRows>();
      local.template AddPairs<2>(x, d, weights);
    }
    if (d < depth) local.template AddPairs<1>(x, d, weights);
    *this = local;
  }

  // Does the same as Accumulate for lanes of several depths: see packed_lanes.h.
  template <typename Lanes>
  void AccumulateLanes(const float* const x[kRows], int64_t depth, PackedLanes weights) {
    Tile local = *this;
    int64_t d = 0;
    for (; d + Lanes::kDepths <= depth; d += Lanes::kDepths) {
      local.template AddLanes<Lanes>(x, d, Lanes::kDepths, weights);
      weights.data += weights.stride;
    }
    if (d < depth) local.template AddLanes<Lanes>(x, d, depth - d, weights);
    *this = local;
  }

 private:
  // Adds the products of the first `count` depths of a lane.
  template <typename Lanes>
  [[gnu::always_inline]] void AddLanes(const float* const x[kRows], int64_t depth, int64_t count,
                                       const PackedLanes& weights) {
    typename V::Pairs lanes[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) lanes[v] = weights.At<V>(v);
    ForEachIndex<Lanes::kDepths>([&](auto index) __attribute__((always_inline)) {
      if (index.kValue >= count) return;
      AddProducts(x, depth + index.kValue,
                  [&](int v) { return Lanes::template At<index.kValue>(lanes[v]); });
    });
  }

  // Adds x[row][depth] * weight(v). What there are fewer of, numbers of the input or vectors of
  // weights, is held in registers, and the others pass by.
  template <typename Weight>
  [[gnu::always_inline]] void AddProducts(const float* const x[kRows], int64_t depth,
                                          const Weight& weight) {
    if constexpr (kRows < kVectors) {
      Float values[kRows];
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) values[row] = V::Set(x[row][depth]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const Float w = weight(v);
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) {
          sums[row][v] = V::AddProduct(sums[row][v], values[row], w);
        }
      }
    } else {
      Float w[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) w[v] = weight(v);
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) {
        const Float value = V::Set(x[row][depth]);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          sums[row][v] = V::AddProduct(sums[row][v], value, w[v]);
        }
      }
    }
  }

  // Adds the products of two depths of few rows, a vector of weights after another: the next vector does
  // not wait for the sums of this one.
  template <typename Weights>
  [[gnu::always_inline]] void AddTwoDepths(const float* const x[kRows], int64_t depth,
                                           const Weights& weights) {
    Float even[kRows];
    Float odd[kRows];
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
      even[row] = V::Set(x[row][depth]);
      odd[row] = V::Set(x[row][depth + 1]);
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const Float first = weights.Even(depth, v);
      const Float second = weights.Odd(depth, v);
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) {
        sums[row][v] = V::AddProduct(sums[row][v], even[row], first);
        sums[row][v] = V::AddProduct(sums[row][v], odd[row], second);
      }
    }
  }

  template <int kDepths>
  [[gnu::always_inline]] void AddPairs(const uint16_t* const x[kRows], int64_t depth,
                                       const PairWeights<V>& weights) {
    typename V::Pairs w[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) w[v] = weights.At(depth, v);
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
      uint32_t pair = 0;
      __builtin_memcpy(&pair, x[row] + depth, kDepths * sizeof(uint16_t));
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sums[row][v] = V::AddDots(sums[row][v], w[v], pair);
    }
  }
};

template <int kRows>
struct TileRows {
  static constexpr int kCount = kRows;
};

// Calls visit(TileRows<count>(), row), for a count of at most kRows.
template <int kRows, typename Visit>
void VisitTile(int64_t count, int64_t row, const Visit& visit) {
  if constexpr (kRows > 1) {
    if (count < kRows) return VisitTile<kRows - 1>(count, row, visit);
  }
  visit(TileRows<kRows>(), row);
}

// Calls visit(TileRows<n>(), first row) for rows begin..end - 1, in as few tiles of at most kRows rows as
// there can be, of about the same size: a last tile of one row would take as long as one of four.
template <int kRows, typename Visit>
void ForEachTile(int64_t begin, int64_t end, const Visit& visit) {
  int64_t num_tiles = (end - begin + kRows - 1) / kRows;
  for (; num_tiles > 0; --num_tiles) {
    const int64_t count = (end - begin + num_tiles - 1) / num_tiles;
    VisitTile<kRows>(count, begin, visit);
    begin += count;
  }
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_TILE_H_
