#ifndef AUTOGLM_KERNELS_SIMD_QUANTIZED_GEMM_H_
#define AUTOGLM_KERNELS_SIMD_QUANTIZED_GEMM_H_

#include "kernels/kernels.h"
#include "kernels/simd/input_tiles.h"
#include "kernels/simd/next_weights.h"
#include "kernels/simd/nibble_digits.h"
#include "kernels/simd/panel_block.h"
#include "kernels/simd/panel_sums.h"
#include "kernels/simd/quantized_panel.h"
#include "kernels/simd/sweep.h"
#include "kernels/simd/tile.h"

namespace autoglm::kernels {
namespace {

// The integers of a group are multiplied unscaled, and the group's sum is scaled once:
// y = sum over groups of scale * (sum of x * q - zero point * sum of x). One fused multiply-add per
// depth and one per group, in order, whatever the number of rows.

// A block of one group of depths. A column's only group may be walked in several blocks, between which
// y holds the sums that are not scaled yet; otherwise a block is a whole group, and y holds the total
// of the groups before it. Addresses are of the first panel.
struct GroupBlock {
  PanelBlock block;
  const uint32_t* lanes;  // from the block's first depth
  const char* scales;     // [kPanelWidth] of the format's scale type
  const char* extra;      // zero points or negated offsets
  int64_t group_begin;    // depth
  bool begins_group;
  bool ends_group;

  // Returns the part of the group that lies in the panels of `part`, `panel` panels on.
  GroupBlock At(const PanelBlock& part, int64_t panel) const {
    GroupBlock group = *this;
    const int64_t bytes = panel * block.panel_bytes;
    group.block = part;
    group.lanes += bytes / 4;
    group.scales += bytes;
    group.extra += bytes;
    return group;
  }

  template <typename V>
  PackedLanes Lanes() const {
    return {lanes, kPanelWidth<V>, block.panel_bytes / 4};
  }
};

// Returns where what belongs to vector v, counted through all panels, lies behind `first` of the first
// panel. What a column has takes value_bytes.
template <typename V>
const char* AtVector(const GroupBlock& group, const char* first, int v, int64_t value_bytes) {
  return first + v / V::kTileVectors * group.block.panel_bytes +
         v % V::kTileVectors * V::kWidth * value_bytes;
}

template <typename V>
typename V::Float ScalesOf(const GemmArgs& args, const GroupBlock& group, int v) {
  const char* scales = group.scales + v / V::kTileVectors * group.block.panel_bytes;
  return LoadScales<V>(args.format.scale_dtype, scales, v % V::kTileVectors);
}

// Returns what a tile asks for beside the lanes of a group.
template <typename V, int kRows>
NextWeights NextOf(const GemmArgs& args, const GroupBlock& group, int64_t row) {
  const int64_t lane_depths =
      args.format.type == WeightType::kInt4 ? Int4Lanes<V>::kDepths : Int8Lanes<V>::kDepths;
  return NextWeights::Of<V, kRows>(args, group.block, row, group.lanes,
                                   group.block.Depth() / lane_depths * kPanelWidth<V> * 4);
}

// Adds the bias after the last group.
template <typename V>
typename V::Float AddBias(const GemmArgs& args, const GroupBlock& group, int v,
                          typename V::Float sum) {
  if (args.bias == nullptr || group.block.depth_end != args.depth) return sum;
  const float* bias = args.bias + group.block.column + v * V::kWidth;
  return V::Add(sum, V::LoadFirst(bias, ColumnsOf<V>(group.block, v)));
}

// Returns the sum of a row of x over depths first..end - 1.
template <typename V>
float SumOfInput(const GemmArgs& args, int64_t row, int64_t first, int64_t end) {
  const int64_t begin = row * args.x_stride + first;
  const int64_t count = end - first;
  const auto sum_of = [&](auto* x) {
    const auto add = [&](typename V::Float sum, int64_t i, int64_t n) {
      return V::Add(sum, V::LoadFirst(x + i, n));
    };
    return V::Sum(Reduce<V>(count, V::Zero(), add, V::Add));
  };
  if (args.x_layout == InputLayout::kInt16Rows) {
    return sum_of(static_cast<const int16_t*>(args.x) + begin);
  }
  if (HasFloatRows(args)) return sum_of(static_cast<const float*>(args.x) + begin);
  return sum_of(static_cast<const uint16_t*>(args.x) + begin);
}

template <typename V, int kRows, int kVectors>
void LoadGroupSums(const GemmArgs& args, const GroupBlock& group, int64_t row,
                   Tile<V, kRows, kVectors>& tile) {
  if (group.begins_group) return tile.Clear();
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const float* y = args.y + row * args.y_stride + group.block.column + v * V::kWidth;
    const int64_t count = ColumnsOf<V>(group.block, v);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r, y += args.y_stride) tile.sums[r][v] = V::LoadFirst(y, count);
  }
}

// Scales the sums of a group that is complete and adds them to y.
template <typename V, int kRows, int kVectors>
void AddScaledSums(const GemmArgs& args, const GroupBlock& group, int64_t row,
                   const Tile<V, kRows, kVectors>& tile) {
  using Float = typename V::Float;
  const bool is_last = group.block.depth_end == args.depth;
  const bool is_int16 = args.x_layout == InputLayout::kInt16Rows;
  Float x_sums[kRows];
  if (args.format.has_zero_points) {
    for (int r = 0; r < kRows; ++r) {
      x_sums[r] =
          V::Set(SumOfInput<V>(args, row + r, group.group_begin, group.block.depth_end));
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const int64_t count = ColumnsOf<V>(group.block, v);
    const Float scales = ScalesOf<V>(args, group, v);
    float* y = args.y + row * args.y_stride + group.block.column + v * V::kWidth;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r, y += args.y_stride) {
      Float sum = tile.sums[r][v];
      if (args.format.has_zero_points) {
        const char* const zeros = AtVector<V>(group, group.extra, v, 1);
        const Float zero = V::LoadInt8(reinterpret_cast<const int8_t*>(zeros));
        sum = V::NegativeMultiplyAdd(zero, x_sums[r], sum);
      }
      const Float before = group.group_begin == 0 ? V::Zero() : V::LoadFirst(y, count);
      Float total = V::MultiplyAdd(sum, scales, before);
      if (is_last && is_int16) total = V::Multiply(total, V::Set(args.x_scales[row + r]));
      V::StoreFirst(y, AddBias<V>(args, group, v, total), count);
    }
  }
}

template <typename V, int kRows, int kVectors>
void StoreGroupSums(const GemmArgs& args, const GroupBlock& group, int64_t row,
                    const Tile<V, kRows, kVectors>& tile) {
  if (group.ends_group) return AddScaledSums(args, group, row, tile);
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    float* y = args.y + row * args.y_stride + group.block.column + v * V::kWidth;
    const int64_t count = ColumnsOf<V>(group.block, v);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r, y += args.y_stride) V::StoreFirst(y, tile.sums[r][v], count);
  }
}

// Multiplies the rows x of a tile, which start at the block's first depth, with all panels.
template <typename V, int kRows>
void MultiplyLanes(const GemmArgs& args, const GroupBlock& all, int64_t row,
                   const float* const x[kRows]) {
  ForEachPanelTile<V, kRows>(all.block, [&](auto panels, const PanelBlock& part, int64_t panel) {
    const GroupBlock group = all.At(part, panel);
    Tile<V, kRows, panels.kCount * V::kTileVectors> tile;
    LoadGroupSums(args, group, row, tile);
    if (args.format.type == WeightType::kInt4) {
      tile.template AccumulateLanes<Int4Lanes<V>>(x, part.Depth(), group.Lanes<V>());
    } else {
      tile.template AccumulateLanes<Int8Lanes<V>>(x, part.Depth(), group.Lanes<V>());
    }
    StoreGroupSums(args, group, row, tile);
  });
}

template <typename V>
void MultiplyLanesFloat32(const GemmArgs& args, const GroupBlock& group) {
  ForEachInputTile<float, V::kLaneTileRows>(
      args, group.block, [&](auto rows, int64_t row, const auto& x) {
        MultiplyLanes<V, rows.kCount>(args, group, row, x);
      });
}

template <typename V>
void MultiplyLanesBfloat16(const GemmArgs& args, const GroupBlock& group) {
  ForEachWidenedTile<V, V::kLaneTileRows>(
      args, group.block, [&](auto rows, int64_t row, const auto& x) {
        MultiplyLanes<V, rows.kCount>(args, group, row, x);
      });
}

// Pairs of bfloat16, of which each pair of int4 is made by one instruction.
template <typename V>
struct Bfloat16Dots {
  static constexpr bool kIsInteger = false;
  using X = uint16_t;
  using Sum = typename V::Float;

  static Sum Zero() { return V::Zero(); }
  static typename V::Float AsFloat(Sum sum) { return sum; }
  template <int kShift>
  static typename V::Pairs Weights(typename V::Pairs lanes) {
    return V::template NibblePairs<kShift>(lanes);
  }
  static Sum Add(Sum sum, typename V::Pairs weights, uint32_t x) {
    return V::AddDots(sum, weights, x);
  }
};

// Pairs of int16, whose products are exact: 2^3 * 2^15 for each of kDepthBlock depths.
template <typename V>
struct Int16Dots {
  static constexpr bool kIsInteger = true;
  using X = int16_t;
  using Sum = typename V::Pairs;

  static Sum Zero() { return V::BitsAsLanes(V::Zero()); }
  static typename V::Float AsFloat(Sum sum) { return V::ConvertLanes(sum); }
  template <int kShift>
  static typename V::Pairs Weights(typename V::Pairs lanes) {
    return V::template NibbleInt16<kShift>(lanes);
  }
  static Sum Add(Sum sum, typename V::Pairs weights, uint32_t x) {
    return V::AddInt16Dots(sum, weights, x);
  }
};

// Sums of products of int4 with pairs of 16 bits.
template <typename V, typename Dots, int kRows, int kVectors>
struct NibbleTile {
  static constexpr int kNumRows = kRows;
  static constexpr int kNumVectors = kVectors;

  typename Dots::Sum sums[kRows][kVectors];

  void Accumulate(const typename Dots::X* const x[kRows], int64_t depth, PackedLanes weights,
                  NextWeights& next) {
    NibbleTile local;
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) local.sums[row][v] = Dots::Zero();
    }
    NextWeights local_next = next;
    int64_t d = 0;
    for (; d + 8 <= depth; d += 8) {
      local_next.Fetch<V, kRows>();
      local.Add(x, d, 8, weights);
      weights.data += weights.stride;
    }
    if (d < depth) local.Add(x, d, depth - d, weights);
    next = local_next;
    *this = local;
  }

 private:
  [[gnu::always_inline]] void Add(const typename Dots::X* const x[kRows], int64_t depth,
                                  int64_t count, const PackedLanes& weights) {
    typename V::Pairs lanes[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) lanes[v] = weights.At<V>(v);
    ForEachIndex<4>([&](auto index) __attribute__((always_inline)) {
      constexpr int kDepth = 2 * index.kValue;
      if (kDepth >= count) return;
      typename V::Pairs w[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        w[v] = Dots::template Weights<4 * index.kValue>(lanes[v]);
      }
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) {
        uint32_t pair = 0;
        if (kDepth + 1 < count) {
          __builtin_memcpy(&pair, x[row] + depth + kDepth, sizeof(pair));
        } else {
          pair = static_cast<uint16_t>(x[row][depth + kDepth]);
        }
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          sums[row][v] = V::Pin(Dots::Add(sums[row][v], w[v], pair));
        }
      }
    });
  }
};

// Panels whose sums of kRows rows are in registers together. Of narrow panels, an integer sum waits
// one cycle for the one before it, so few sums are enough, and what is unpacked stays in registers
// too. A row alone takes two wide ones: the sums of one panel would wait for each other.
template <typename V, typename Dots, int kRows>
constexpr int kNibblePanelsAtOnce = kPanelGroup<V> == 1           ? (kRows == 1 ? 2 : 1)
                                    : !Dots::kIsInteger           ? kPanelsAtOnce<V, kRows>
                                    : kPanelsAtOnce<V, kRows> > 2 ? 2
                                                                  : 1;

// Multiplies rows of pairs of 16 bits with int4.
template <typename V, typename Dots>
void MultiplyNibblePairs(const GemmArgs& args, const GroupBlock& all) {
  ForEachInputTile<typename Dots::X, V::kLaneTileRows>(
      args, all.block, [&](auto rows, int64_t row, const auto& x) {
        constexpr int kRows = rows.kCount;
        ForEachPanelTile<V, kRows, kNibblePanelsAtOnce<V, Dots, kRows>>(
            all.block, [&](auto panels, const PanelBlock& part, int64_t panel) {
              constexpr int kVectors = panels.kCount * V::kTileVectors;
              const GroupBlock group = all.At(part, panel);
              NibbleTile<V, Dots, kRows, kVectors> products;
              NextWeights next = NextOf<V, kRows>(args, group, row);
              products.Accumulate(x, part.Depth(), group.Lanes<V>(), next);
              Tile<V, kRows, kVectors> tile;
              LoadGroupSums(args, group, row, tile);
#pragma GCC unroll 8
              for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
                for (int v = 0; v < kVectors; ++v) {
                  tile.sums[r][v] =
                      V::Add(tile.sums[r][v], Dots::AsFloat(products.sums[r][v]));
                }
              }
              StoreGroupSums(args, group, row, tile);
            });
      });
}

// Multiplies rows of pairs of 16 bits with int4 of several whole groups, whose totals stay with the core
// meanwhile. They are those that MultiplyNibblePairs would leave in y.
template <typename V, typename Dots>
void MultiplyNibbleGroups(const GemmArgs& args, const QuantizedLayout<V>& layout,
                          const PanelBlock& block) {
  using X = typename Dots::X;
  using Float = typename V::Float;
  const auto multiply = [&](auto rows, int64_t row, const auto& multiply_group) {
    constexpr int kRows = rows.kCount;
    constexpr int kPanels = kNibblePanelsAtOnce<V, Dots, kRows>;
    ForEachPanelTile<V, kRows, kPanels>(block, [&](auto panels, const PanelBlock& part, int64_t) {
      constexpr int kVectors = panels.kCount * V::kTileVectors;
      Tile<V, kRows, kVectors> totals;
      LoadSums(args, part, row, totals);
      const int64_t num_groups = (part.Depth() + layout.group_depth - 1) / layout.group_depth;
      const char* group = part.panel + part.depth_begin / layout.group_depth * layout.group_bytes;
      auto next =
          NextWeights::Of<V, kRows>(args, part, row, group, num_groups * layout.group_bytes);
      for (int64_t begin = part.depth_begin; begin < part.depth_end; begin += layout.group_depth) {
        const int64_t rest = part.depth_end - begin;
        const int64_t depth = rest < layout.group_depth ? rest : layout.group_depth;
        const PackedLanes lanes = {layout.LanesAt(group, 0), kPanelWidth<V>, part.panel_bytes / 4};
        NibbleTile<V, Dots, kRows, kVectors> products;
        multiply_group(begin - part.depth_begin, depth, lanes, next, products);
        Float x_sums[kRows];
        if (args.format.has_zero_points) {
          for (int r = 0; r < kRows; ++r) {
            x_sums[r] = V::Set(SumOfInput<V>(args, row + r, begin, begin + depth));
          }
        }
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          const char* const panel = group + v / V::kTileVectors * part.panel_bytes;
          constexpr int kOfPanel = V::kTileVectors;
          const Float scales = LoadScales<V>(args.format.scale_dtype, panel + layout.scale_offset,
                                             v % kOfPanel);
          const auto* zeros = reinterpret_cast<const int8_t*>(panel + layout.extra_offset);
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r) {
            Float sum = Dots::AsFloat(products.sums[r][v]);
            if (args.format.has_zero_points) {
              const Float zero = V::LoadInt8(zeros + v % kOfPanel * V::kWidth);
              sum = V::NegativeMultiplyAdd(zero, x_sums[r], sum);
            }
            totals.sums[r][v] = V::MultiplyAdd(sum, scales, totals.sums[r][v]);
          }
        }
        group += layout.group_bytes;
      }
      if (part.depth_end == args.depth && args.x_layout == InputLayout::kInt16Rows) {
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const Float scale = V::Set(args.x_scales[row + r]);
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) {
            totals.sums[r][v] = V::Multiply(totals.sums[r][v], scale);
          }
        }
      }
      StoreSums(args, part, row, totals);
    });
  };
  ForEachInputTile<X, V::kLaneTileRows>(args, block, [&](auto rows, int64_t row, const auto& x) {
    if constexpr (Dots::kIsInteger && V::kHasNibbleDigits && rows.kCount == 1) {
      if (FitDigits<V>(args.depth, layout.group_depth)) {
        const DigitRow<V> digits(x[0], block.Depth(), layout.group_depth);
        return multiply(rows, row, [&](int64_t begin, int64_t depth, const PackedLanes& lanes,
                                       NextWeights&, auto& products) {
          PackedLanes panel = lanes;
          for (int v = 0; v < products.kNumVectors; v += V::kTileVectors) {
            MultiplyDigits<V, V::kTileVectors>(digits, begin, begin + depth, panel,
                                               products.sums[0] + v);
            panel.data += panel.panel_stride;
          }
        });
      }
    }
    multiply(rows, row, [&](int64_t begin, int64_t depth, const PackedLanes& lanes,
                            NextWeights& next, auto& products) {
      constexpr int kRows = products.kNumRows;
      const X* first[kRows];
      for (int r = 0; r < kRows; ++r) first[r] = x[r] + begin;
      products.Accumulate(first, depth, lanes, next);
    });
  });
}

// Sums of products of integers, exact in int32.
template <typename V, int kRows, int kVectors>
struct IntegerTile {
  typename V::Pairs sums[kRows][kVectors];

  // Starts at what takes the offset of the input away, or at the sums before the block, whose bits
  // y holds.
  void Load(const GemmArgs& args, const GroupBlock& group, int64_t row) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const float* y = args.y + row * args.y_stride + group.block.column + v * V::kWidth;
      const int64_t count = ColumnsOf<V>(group.block, v);
      const char* const offsets = AtVector<V>(group, group.extra, v, sizeof(uint32_t));
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r, y += args.y_stride) {
        sums[r][v] = group.begins_group ? V::LoadPairs(reinterpret_cast<const uint32_t*>(offsets))
                                        : V::BitsAsLanes(V::LoadFirst(y, count));
      }
    }
  }

  void Accumulate(const uint8_t* const x[kRows], int64_t depth, PackedLanes weights,
                  NextWeights next) {
    IntegerTile local = *this;
    int64_t d = 0;
    for (; d + 4 <= depth; d += 4, weights.data += weights.stride) {
      next.Fetch<V, kRows>();
      local.Add(x, d, 4, weights);
    }
    if (d < depth) local.Add(x, d, depth - d, weights);
    *this = local;
  }

  // Does the same for rows that were widened, zeros up to whole lanes. A function of its own, so that its
  // sums have the registers.
  [[gnu::noinline]] void Accumulate(const int16_t* const x[kRows], int64_t depth,
                                    PackedLanes weights, NextWeights) {
    IntegerTile local = *this;
    for (int64_t d = 0; d < depth; d += 4, weights.data += weights.stride) {
      local.AddWidened(x, d, weights);
    }
    *this = local;
  }

  void Store(const GemmArgs& args, const GroupBlock& group, int64_t row) const {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const int64_t count = ColumnsOf<V>(group.block, v);
      const typename V::Float scales = ScalesOf<V>(args, group, v);
      float* y = args.y + row * args.y_stride + group.block.column + v * V::kWidth;
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r, y += args.y_stride) {
        if (!group.ends_group) {
          V::StoreFirst(y, V::LanesAsBits(sums[r][v]), count);
          continue;
        }
        const typename V::Float scaled = V::Multiply(V::ConvertLanes(sums[r][v]), scales);
        const typename V::Float product = V::Multiply(scaled, V::Set(args.x_scales[row + r]));
        V::StoreFirst(y, AddBias<V>(args, group, v, product), count);
      }
    }
  }

 private:
  [[gnu::always_inline]] void Add(const uint8_t* const x[kRows], int64_t depth, int64_t count,
                                  const PackedLanes& weights) {
    typename V::Pairs w[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) w[v] = weights.At<V>(v);
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
      uint32_t bytes = 0;
      if (count == 4) {
        __builtin_memcpy(&bytes, x[row] + depth, 4);
      } else {
        for (int64_t i = 0; i < count; ++i) bytes |= uint32_t{x[row][depth + i]} << 8 * i;
      }
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        sums[row][v] = V::Pin(V::AddByteDots(sums[row][v], w[v], bytes));
      }
    }
  }

  [[gnu::always_inline]] void AddWidened(const int16_t* const x[kRows], int64_t depth,
                                         const PackedLanes& weights) {
    const auto pair_of = [&](int row, int odd) __attribute__((always_inline)) {
      uint32_t pair;
      __builtin_memcpy(&pair, x[row] + depth + 2 * odd, sizeof(pair));
      return pair;
    };
    if constexpr (kRows < kVectors) {
      // A vector of weights after another, so that only those of one take registers.
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const typename V::Pairs lanes = weights.At<V>(v);
        ForEachIndex<2>([&](auto odd) __attribute__((always_inline)) {
          const typename V::Pairs w = V::template BytesInt16<odd.kValue>(lanes);
#pragma GCC unroll 8
          for (int row = 0; row < kRows; ++row) {
            sums[row][v] = V::Pin(V::AddInt16Dots(sums[row][v], w, pair_of(row, odd.kValue)));
          }
        });
      }
    } else {
      typename V::Pairs lanes[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) lanes[v] = weights.At<V>(v);
      ForEachIndex<2>([&](auto odd) __attribute__((always_inline)) {
        typename V::Pairs w[kVectors];
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) w[v] = V::template BytesInt16<odd.kValue>(lanes[v]);
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) {
          const uint32_t pair = pair_of(row, odd.kValue);
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) {
            sums[row][v] = V::Pin(V::AddInt16Dots(sums[row][v], w[v], pair));
          }
        }
      });
    }
  }
};

// Calls visit(rows, first row, x) for tiles of at most kMaxRows rows of an input of uint8, each widened
// to int16 first: of each four numbers the even ones, then the odd ones, as lanes of weights give them.
// Zeros follow up to whole lanes.
template <typename V, int kMaxRows, typename Visit>
void ForEachWidenedByteTile(const GemmArgs& args, const PanelBlock& block, const Visit& visit) {
  const int64_t depth = block.Depth();
  alignas(64) int16_t wide[kMaxRows][kDepthBlock];
  ForEachInputTile<uint8_t, kMaxRows>(
      args, block, [&](auto rows, int64_t row, const uint8_t* const* narrow) {
        const int16_t* x[rows.kCount];
        for (int r = 0; r < rows.kCount; ++r) {
          for (int64_t d = 0; d < depth; d += 4 * V::kWidth) {
            const int64_t rest = depth - d;
            V::StoreEvenOddFirst(wide[r] + d, narrow[r] + d,
                                 rest < 4 * V::kWidth ? rest : int64_t{4 * V::kWidth});
          }
          x[r] = wide[r];
        }
        visit(rows, row, x);
      });
}

template <typename V>
void MultiplyIntegers(const GemmArgs& args, const GroupBlock& all) {
  const auto multiply = [&](auto rows, int64_t row, const auto& x) {
    ForEachPanelTile<V, rows.kCount>(
        all.block, [&](auto panels, const PanelBlock& part, int64_t panel) {
          const GroupBlock group = all.At(part, panel);
          IntegerTile<V, rows.kCount, panels.kCount * V::kTileVectors> tile;
          tile.Load(args, group, row);
          tile.Accumulate(x, part.Depth(), group.Lanes<V>(),
                          NextOf<V, rows.kCount>(args, group, row));
          tile.Store(args, group, row);
        });
  };
  if constexpr (V::kWidensBytes) {
    ForEachWidenedByteTile<V, V::kDotTileRows>(args, all.block, multiply);
  } else {
    ForEachInputTile<uint8_t, V::kDotTileRows>(args, all.block, multiply);
  }
}

// Panels that pass a tile of rows together. A row alone passes two wide panels of int4, see
// kNibblePanelsAtOnce; other rows one after another, as they lie in memory.
template <typename V>
int64_t PanelsTogether(const GemmArgs& args) {
  const bool is_alone = args.num_rows == 1 && args.format.type == WeightType::kInt4;
  return kPanelGroup<V> == 1 && is_alone ? 2 : kPanelGroup<V>;
}

// Returns true if bfloat16 inputs of a weight are rounded to int16 instead, one scale a row. int16 are
// multiplied twice as fast as float32. All of a row together loses no more by it than by bfloat16: a
// number of a row of n is off by at most max|x| / 2^16, the row by sqrt(n) times that, and by bfloat16 its
// largest number alone by up to max|x| / 2^9.
template <typename V>
bool MultipliesInt16(const WeightFormat& format, Dtype x_dtype) {
  return !V::kHasBfloat16Dot && format.type == WeightType::kInt4 && x_dtype == Dtype::kBfloat16;
}

template <typename V>
void MultiplyGroupBlock(const GemmArgs& args, const GroupBlock& group) {
  if (args.format.quantizes_input) return MultiplyIntegers<V>(args, group);
  if (args.x_layout == InputLayout::kInt16Rows) {
    return MultiplyNibblePairs<V, Int16Dots<V>>(args, group);
  }
  if (HasFloatRows(args)) return MultiplyLanesFloat32<V>(args, group);
  if constexpr (V::kHasBfloat16Dot) {
    if (args.format.type == WeightType::kInt4) {
      return MultiplyNibblePairs<V, Bfloat16Dots<V>>(args, group);
    }
  }
  MultiplyLanesBfloat16<V>(args, group);
}

// Multiplies with the panels of one block, which spans all of the depth.
template <typename V>
void MultiplyQuantized(const GemmArgs& args, const PanelBlock& panels) {
  const QuantizedLayout<V> layout(args.format, args.depth);
  const bool is_int16 = args.x_layout == InputLayout::kInt16Rows;
  const bool has_pairs = is_int16 || (V::kHasBfloat16Dot && args.x_dtype == Dtype::kBfloat16);
  if (args.format.type == WeightType::kInt4 && has_pairs && layout.num_groups > 1) {
    return ForEachDepthBlock(panels, layout.group_depth, kDepthBlock, [&](const PanelBlock& block) {
      if (is_int16) return MultiplyNibbleGroups<V, Int16Dots<V>>(args, layout, block);
      if constexpr (V::kHasBfloat16Dot) {
        MultiplyNibbleGroups<V, Bfloat16Dots<V>>(args, layout, block);
      }
    });
  }
  const bool has_bytes = args.format.quantizes_input && !V::kWidensBytes;
  const int64_t max_depth = has_bytes ? kByteDepthBlock : kDepthBlock;
  for (int64_t g = 0; g < layout.num_groups; ++g) {
    const char* const first = panels.panel + g * layout.group_bytes;
    const int64_t begin = g * layout.group_depth;
    const int64_t after = begin + layout.group_depth;
    PanelBlock depths = panels;
    depths.depth_begin = begin;
    depths.depth_end = after < args.depth ? after : args.depth;
    depths.has_next = panels.has_next || depths.depth_end < args.depth;
    ForEachDepthBlock(depths, 1, max_depth, [&](const PanelBlock& block) {
      MultiplyGroupBlock<V>(args, {.block = block,
                                   .lanes = layout.LanesAt(first, block.depth_begin - begin),
                                   .scales = first + layout.scale_offset,
                                   .extra = first + layout.extra_offset,
                                   .group_begin = begin,
                                   .begins_group = block.depth_begin == begin,
                                   .ends_group = block.depth_end == depths.depth_end});
    });
  }
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_QUANTIZED_GEMM_H_
