#ifndef AUTOGLM_KERNELS_AMX_TILE_ATTENTION_H_
#define AUTOGLM_KERNELS_AMX_TILE_ATTENTION_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/amx/attention_rows.h"
#include "kernels/amx/tile_softmax.h"
#include "kernels/amx/tiles.h"
#include "kernels/kernels.h"
#include "kernels/simd/attention/attention.h"

namespace autoglm::kernels {
namespace {

// Attention on tiles, as in FlashAttention (https://arxiv.org/abs/2205.14135), with both products
// transposed: scores [keys, rows] = keys * transpose(q), then sums [dims, rows] += transpose(values)
// * probabilities. A row of queries is a column of every tile, so keys enter as they lie in memory,
// a softmax works on 16 rows at once without sums across lanes, and a row's bits depend on no other.
// Products take bfloat16 and add in float32; the softmax is in float32.

inline constexpr int64_t kMaxSteps = kMaxHeadDim / kStepDims;
inline constexpr int64_t kMaxDimTiles = kMaxHeadDim / kTileRows;
inline constexpr int64_t kKeyTiles = kTileKeys / kTileRows;

// Rows that share a block of keys once it is packed, in groups of 16.
inline constexpr int64_t kMaxGroups = 32;
inline constexpr int64_t kMaxRows = kMaxGroups * kTileColumns;

// Blocks of keys that are packed at a time; each pair of groups then takes all of them in turn, with
// its sums in the first-level cache and the keys in the second.
inline constexpr int64_t kSpanBlocks = 4;
inline constexpr int64_t kSpanKeys = kSpanBlocks * kTileKeys;

// A block of keys and values, packed.
struct KeyBlock {
  TileBytes keys[kKeyTiles][kMaxSteps];       // [16 keys, 32 dims]
  TileBytes values[kMaxDimTiles][kKeySteps];  // [16 dims, 32 keys]
  float key_scales[kTileKeys];
  float value_scales[kTileKeys];
  int64_t key;               // position of its first key
  uint32_t lost[kKeySteps];  // a bit for each value that is not finite
};

// Memory of one call.
struct TileScratch {
  KeyBlock blocks[kSpanBlocks];
  TileBytes queries[kMaxGroups][kMaxSteps];  // [16 pairs of dims, 16 rows]
  TileBytes sums[kMaxGroups][kMaxDimTiles];  // [16 dims, 16 rows] float32
  TileBytes probabilities[2][kKeySteps];     // [16 pairs of keys, 16 rows]
  TileBytes scores[2][2][kKeyTiles];         // of two blocks in turn: [16 keys, 16 rows] float32
  RowGroup groups[kMaxGroups];
  AttentionRow rows[kMaxRows];
};

// Adds the products of two tiles of A with kGroups tiles of B.
template <typename T, int kGroups>
void AddTileStep(const TileBytes& a0, const TileBytes& a1, const TileBytes* b, int64_t b_stride) {
  T::template Load<4>(&a0, kTileRowBytes);
  T::template Load<6>(b, kTileRowBytes);
  T::template AddPairDots<0, 4, 6>();
  T::template Load<5>(&a1, kTileRowBytes);
  T::template AddPairDots<1, 5, 6>();
  if constexpr (kGroups == 2) {
    T::template Load<7>(b + b_stride, kTileRowBytes);
    T::template AddPairDots<2, 4, 7>();
    T::template AddPairDots<3, 5, 7>();
  }
}

// Stores the sums of AddTileStep: two tiles for each group, one after another.
template <typename T, int kGroups>
void StoreTiles(TileBytes* first, int64_t stride) {
  T::template Store<0>(first, kTileRowBytes);
  T::template Store<1>(first + 1, kTileRowBytes);
  if constexpr (kGroups == 2) {
    T::template Store<2>(first + stride, kTileRowBytes);
    T::template Store<3>(first + stride + 1, kTileRowBytes);
  }
}

// Scores of keys 32 * pair .. + 31 of a block; `between(step)` is called after each step.
template <typename T, int kGroups, typename Between>
void ScoreTiles(TileScratch& scratch, const KeyBlock& block, int64_t group, int64_t pair,
                int64_t num_steps, TileBytes* scores, const Between& between) {
  T::template Zero<0>();
  T::template Zero<1>();
  if constexpr (kGroups == 2) {
    T::template Zero<2>();
    T::template Zero<3>();
  }
  for (int64_t step = 0; step < num_steps; ++step) {
    AddTileStep<T, kGroups>(block.keys[2 * pair][step], block.keys[2 * pair + 1][step],
                            &scratch.queries[group][step], kMaxSteps);
    between(step);
  }
  StoreTiles<T, kGroups>(scores + 2 * pair, kKeyTiles);
}

// Adds the block's values, weighed by the probabilities.
template <typename T, int kGroups>
void WeighTiles(TileScratch& scratch, const KeyBlock& block, int64_t group, int64_t num_dim_tiles) {
  for (int64_t tile = 0; tile < num_dim_tiles; tile += 2) {
    TileBytes* const sums = &scratch.sums[group][tile];
    T::template Load<0>(sums, kTileRowBytes);
    T::template Load<1>(sums + 1, kTileRowBytes);
    if constexpr (kGroups == 2) {
      T::template Load<2>(sums + kMaxDimTiles, kTileRowBytes);
      T::template Load<3>(sums + kMaxDimTiles + 1, kTileRowBytes);
    }
    for (int64_t step = 0; step < kKeySteps; ++step) {
      AddTileStep<T, kGroups>(block.values[tile][step], block.values[tile + 1][step],
                              &scratch.probabilities[0][step], kKeySteps);
    }
    StoreTiles<T, kGroups>(sums, kMaxDimTiles);
  }
}

// Multiplies the sums of each row by `decay`, unless it is one for all.
inline void DecaySums(TileBytes* sums, int64_t num_dim_tiles, __m512 decay) {
  if (_mm512_cmp_ps_mask(decay, _mm512_set1_ps(1.0f), _CMP_NEQ_UQ) == 0) return;
  for (int64_t tile = 0; tile < num_dim_tiles; ++tile) {
    for (int64_t dim = 0; dim < kTileRows; ++dim) {
      float* row = reinterpret_cast<float*>(sums[tile].row[dim]);
      _mm512_store_ps(row, _mm512_mul_ps(_mm512_load_ps(row), decay));
    }
  }
}

// Makes the sum of each row NaN that sees a value that is not finite.
inline void LoseRows(RowGroup& group, const KeyBlock& block) {
  for (int64_t j = 0; j < kTileKeys; ++j) {
    if ((block.lost[j / 32] >> (j % 32) & 1u) == 0) continue;
    for (int64_t row = 0; row < kTileColumns; ++row) {
      if (block.key + j < group.num_keys[row]) group.sum[row] = __builtin_nanf("");
    }
  }
}

// Takes kGroups groups from `group` on through the blocks of a span, of which they see keys up to
// `end`. The scores of a block are multiplied while the softmax of the one before it is computed: tiles
// and vectors then work at the same time.
template <typename T, bool kHasScales, int kGroups>
class SpanWalk {
 public:
  SpanWalk(TileScratch& scratch, int64_t group, const AttentionShape& shape)
      : scratch_(scratch),
        group_(group),
        num_steps_((shape.head_dim + kStepDims - 1) / kStepDims),
        scale_(shape.scale) {}

  void Run(int64_t begin, int64_t end) {
    const int64_t num_blocks = (end - begin + kTileKeys - 1) / kTileKeys;
    const auto nothing = [](int64_t) {};
    for (int64_t pair = 0; pair < kKeyTiles / 2; ++pair) {
      ScoreTiles<T, kGroups>(scratch_, scratch_.blocks[0], group_, pair, num_steps_,
                             scratch_.scores[0][0], nothing);
    }
    for (int64_t i = 0; i < num_blocks; ++i) Take(i, i + 1 < num_blocks);
  }

 private:
  void Take(int64_t index, bool has_next) {
    constexpr float kLog2OfE = 1.44269504f;
    const KeyBlock& block = scratch_.blocks[index];
    const ScoreScales scales = {.log2_scale = scale_ * kLog2OfE,
                                .key_scales = block.key_scales,
                                .value_scales = block.value_scales};
    BlockSoftmax<kHasScales> softmax[kGroups];
    for (int i = 0; i < kGroups; ++i) {
      softmax[i].Begin(scratch_.groups[group_ + i], block.key, scales,
                       reinterpret_cast<const float(*)[kTileColumns]>(
                           scratch_.scores[index % 2][i]));
    }
    constexpr int kAdvance = 8;
    int64_t key = 0;
    const auto advance = [&](int64_t) {
      if (key == kTileKeys) return;
      for (int i = 0; i < kGroups; ++i) {
        softmax[i].template Advance<kAdvance>(key, scratch_.probabilities[i]);
      }
      key += kAdvance;
    };
    if (has_next) {
      for (int64_t pair = 0; pair < kKeyTiles / 2; ++pair) {
        ScoreTiles<T, kGroups>(scratch_, scratch_.blocks[index + 1], group_, pair, num_steps_,
                               scratch_.scores[(index + 1) % 2][0], advance);
      }
    }
    while (key < kTileKeys) advance(0);
    for (int i = 0; i < kGroups; ++i) {
      softmax[i].End();
      DecaySums(scratch_.sums[group_ + i], 2 * num_steps_, softmax[i].decay());
      if ((block.lost[0] | block.lost[1] | block.lost[2] | block.lost[3]) != 0) {
        LoseRows(scratch_.groups[group_ + i], block);
      }
    }
    WeighTiles<T, kGroups>(scratch_, block, group_, 2 * num_steps_);
  }

  TileScratch& scratch_;
  int64_t group_;
  int64_t num_steps_;
  float scale_;
};

// Packs `count` keys and values from `key` on, at most kTileKeys.
template <typename V, typename Rows>
void PackBlock(const Rows& keys, const Rows& values, int64_t key, int64_t count, int64_t head_dim,
               KeyBlock& block) {
  block.key = key;
  if constexpr (Rows::kHasScales) {
    keys.LoadScales(key, count, block.key_scales, kTileKeys);
    values.LoadScales(key, count, block.value_scales, kTileKeys);
  }
  const typename Rows::Number* key_rows[kTileKeys];
  const typename Rows::Number* value_rows[kTileKeys];
  keys.Find(key, count, kTileKeys, key_rows);
  values.Find(key, count, kTileKeys, value_rows);
  // The rows lie in blocks all over the cache: they are asked for before the first is needed.
  FetchRows(key_rows, count, head_dim);
  FetchRows(value_rows, count, head_dim);
  for (int64_t tile = 0; tile < kKeyTiles; ++tile) {
    const int64_t first = tile * kTileRows;
    PackKeyTiles<V>(key_rows + first, count - first, head_dim, block.keys[tile]);
  }
  for (int64_t step = 0; step < kKeySteps; ++step) {
    const int64_t first = step * 32;
    block.lost[step] = PackValueTiles<V>(value_rows + first, count - first, head_dim,
                                         &block.values[0][step], kKeySteps);
  }
}

// Prepares rows [group * 16 ..] of the call.
template <typename V>
void BeginGroup(TileScratch& scratch, int64_t group, int64_t num_rows, int64_t head_dim) {
  const AttentionRow* rows = scratch.rows + group * kTileColumns;
  const int64_t count = num_rows < kTileColumns ? num_rows : kTileColumns;
  RowGroup& state = scratch.groups[group];
  for (int64_t i = 0; i < kTileColumns; ++i) {
    // Columns without a row see what the last row sees, of a query of zeros.
    state.num_keys[i] = static_cast<int32_t>(rows[i < count ? i : count - 1].num_keys);
    state.max[i] = -__builtin_inff();
    state.sum[i] = 0.0f;
  }
  state.fewest_keys = rows[0].num_keys;
  state.most_keys = rows[count - 1].num_keys;
  PackQueryTiles<V>([&](int64_t i) { return rows[i].q; }, count, head_dim, scratch.queries[group]);
  const int64_t num_dim_tiles = (head_dim + kStepDims - 1) / kStepDims * 2;
  __builtin_memset(scratch.sums[group], 0, static_cast<size_t>(num_dim_tiles) * sizeof(TileBytes));
}

// Writes the rows of a group: their sums, divided by those of the probabilities.
template <typename V>
void EndGroup(TileScratch& scratch, int64_t group, int64_t num_rows, int64_t head_dim) {
  const AttentionRow* rows = scratch.rows + group * kTileColumns;
  const __m512 sum = _mm512_load_ps(scratch.groups[group].sum);
  for (int64_t dim = 0; dim < head_dim; dim += kTileRows) {
    typename V::Float vectors[V::kWidth];
    for (int64_t i = 0; i < V::kWidth; ++i) {
      vectors[i] = V::Divide(
          _mm512_load_ps(scratch.sums[group][dim / kTileRows].row[i]), sum);
    }
    V::Transpose(vectors);
    const int64_t count = head_dim - dim < kTileRows ? head_dim - dim : kTileRows;
    for (int64_t i = 0; i < V::kWidth; ++i) {
      if (i < num_rows) V::StoreFirst(rows[i].out + dim, vectors[i], count);
    }
  }
}

// Computes scratch.rows[0..num_rows - 1], which are in the order of num_keys.
template <typename V, typename T, typename Rows>
void AttendTiles(TileScratch& scratch, int64_t num_rows, const AttentionShape& shape,
                 const Rows& keys, const Rows& values) {
  const int64_t num_groups = (num_rows + kTileColumns - 1) / kTileColumns;
  for (int64_t group = 0; group < num_groups; ++group) {
    BeginGroup<V>(scratch, group, num_rows - group * kTileColumns, shape.head_dim);
  }
  TileConfig config;
  for (int tile = 0; tile < kNumTiles; ++tile) config.Set(tile, kTileRows, kTileRowBytes);
  T::Configure(config);
  const int64_t num_keys = scratch.groups[num_groups - 1].most_keys;
  int64_t begin = 0;  // groups before it see no key of the span
  for (int64_t key = 0; key < num_keys; key += kSpanKeys) {
    while (scratch.groups[begin].most_keys <= key) begin += 1;
    const int64_t end = num_keys - key < kSpanKeys ? num_keys : key + kSpanKeys;
    for (int64_t first = key; first < end; first += kTileKeys) {
      const int64_t count = end - first < kTileKeys ? end - first : kTileKeys;
      PackBlock<V>(keys, values, first, count, shape.head_dim,
                   scratch.blocks[(first - key) / kTileKeys]);
    }
    const auto end_of = [&](int64_t group) {
      return scratch.groups[group].most_keys < end ? scratch.groups[group].most_keys : end;
    };
    int64_t group = begin;
    for (; group + 2 <= num_groups; group += 2) {
      SpanWalk<T, Rows::kHasScales, 2>(scratch, group, shape).Run(key, end_of(group + 1));
    }
    if (group < num_groups) {
      SpanWalk<T, Rows::kHasScales, 1>(scratch, group, shape).Run(key, end_of(group));
    }
  }
  T::Release();
  for (int64_t group = 0; group < num_groups; ++group) {
    EndGroup<V>(scratch, group, num_rows - group * kTileColumns, shape.head_dim);
  }
}

// Calls AttendTiles for kMaxRows rows at a time; row_at(i) describes row i.
template <typename V, typename T, typename Rows, typename RowAt>
void AttendAllTiles(void* memory, int64_t num_rows, const RowAt& row_at,
                    const AttentionShape& shape, const Rows& keys, const Rows& values) {
  TileScratch& scratch = *static_cast<TileScratch*>(memory);
  for (int64_t begin = 0; begin < num_rows; begin += kMaxRows) {
    const int64_t count = num_rows - begin < kMaxRows ? num_rows - begin : kMaxRows;
    for (int64_t i = 0; i < count; ++i) scratch.rows[i] = row_at(begin + i);
    AttendTiles<V, T>(scratch, count, shape, keys, values);
  }
}

template <typename V, typename T>
void PagedOnTiles(const PagedAttentionArgs& args) {
  if (args.kv_dtype == KvDtype::kFloat32) return Paged<V>(args);
  const AttentionShape shape = {args.head_dim, args.scale, 0};
  const int64_t num_rows = args.num_queries * args.num_heads;
  const auto row_at = [&](int64_t row) { return PagedRow(args, row); };
  if (args.kv_dtype == KvDtype::kInt8) {
    return AttendAllTiles<V, T>(args.scratch, num_rows, row_at, shape,
                                ScaledRowsOf(args, args.keys, args.key_scales),
                                ScaledRowsOf(args, args.values, args.value_scales));
  }
  AttendAllTiles<V, T>(args.scratch, num_rows, row_at, shape,
                       PagedRowsOf<uint16_t>(args, args.keys),
                       PagedRowsOf<uint16_t>(args, args.values));
}

template <typename V, typename T>
void FullOnTiles(const FullAttentionArgs& args) {
  if (args.product_dtype != Dtype::kBfloat16 || args.relative_q != nullptr) return Full<V>(args);
  const auto row_at = [&](int64_t row) { return FullRow(args, row); };
  AttendAllTiles<V, T>(args.scratch, args.num_keys == 0 ? 0 : args.num_queries, row_at,
                       {args.head_dim, args.scale, 0}, DenseRows{args.keys, args.kv_stride},
                       DenseRows{args.values, args.kv_stride});
}

template <typename V, typename T>
AttentionKernels TileAttention(const char* isa) {
  static_assert(sizeof(TileScratch) >= sizeof(AttentionScratch));  // of what stays on vectors
  return {.isa = isa,
          .scratch_bytes = sizeof(TileScratch),
          .paged = PagedOnTiles<V, T>,
          .full = FullOnTiles<V, T>};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AMX_TILE_ATTENTION_H_
