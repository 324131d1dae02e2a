#ifndef AUTOGLM_KERNELS_SIMD_ATTENTION_H_
#define AUTOGLM_KERNELS_SIMD_ATTENTION_H_

#include "kernels/kernels.h"
#include "kernels/simd/exponential.h"
#include "kernels/simd/key_rows.h"
#include "kernels/simd/sweep.h"
#include "kernels/simd/tile.h"

namespace autoglm::kernels {
namespace {

// Rows of queries walk the keys together, kKeyBlock at a time from position 0: a block is widened
// to float32 once for all rows, keys transposed, so that both products are the tiles of a GEMM.
constexpr int64_t kKeyBlock = 32;
constexpr int64_t kRowsPerChunk = 96;

// One query of one head, with the state of its online softmax.
struct AttentionRow {
  const float* q;             // [head_dim]
  float* out;                 // [head_dim]: weighted sum of values, relative to `max`
  int64_t num_keys;           // it sees keys 0..num_keys - 1
  const float* relative_q;    // [head_dim] or null
  const float* relative_key;  // p of key 0; that of key j is at + j * relative_stride
  float max = -__builtin_inff();
  float sum = 0.0f;  // of e^(score - max)

  // Returns the number of keys of the block at `key` that the row sees.
  int64_t VisibleKeys(int64_t key) const {
    const int64_t rest = num_keys - key;
    return rest < 0 ? 0 : rest < kKeyBlock ? rest : kKeyBlock;
  }
};

struct AttentionShape {
  int64_t head_dim;
  float scale;
  int64_t relative_stride;
};

// Memory for one chunk: about 50 KiB of stack.
struct AttentionScratch {
  alignas(64) float block[kMaxHeadDim * kKeyBlock];    // keys [head_dim][kKeyBlock], then values
  alignas(64) float scores[kRowsPerChunk][kKeyBlock];  // scores, then probabilities
  // Of the keys and the values of the block, zeros where there are no more.
  alignas(64) float key_scales[kKeyBlock];
  alignas(64) float value_scales[kKeyBlock];
};

// Sets scores[row][j] to q . k_j for the whole block.
template <typename V>
void ScoreKeys(const AttentionRow* rows, int64_t begin, int64_t end, int64_t head_dim,
               AttentionScratch& scratch) {
  ForEachTile<V::kTileRows>(begin, end, [&](auto tile_rows, int64_t row) {
    constexpr int kRows = tile_rows.kCount;
    const float* q[kRows];
    for (int r = 0; r < kRows; ++r) q[r] = rows[row + r].q;
    for (int64_t column = 0; column < kKeyBlock; column += 2 * V::kWidth) {
      Tile<V, kRows, 2> tile;
      tile.Clear();
      tile.Accumulate(q, head_dim, Float32Weights<V>{scratch.block + column, kKeyBlock});
      for (int r = 0; r < kRows; ++r) {
        for (int v = 0; v < 2; ++v) {
          V::Store(scratch.scores[row + r] + column + v * V::kWidth, tile.sums[r][v]);
        }
      }
    }
  });
}

template <typename V>
float Dot(const float* a, const float* b, int64_t count) {
  return V::Sum(Reduce<V>(
      count, V::Zero(),
      [&](typename V::Float sum, int64_t i, int64_t n) {
        return V::MultiplyAdd(V::LoadFirst(a + i, n), V::LoadFirst(b + i, n), sum);
      },
      V::Add));
}

// Multiplies each number of a row of queries by the scale of its key, or of its value: the cache's
// rows enter both products as they are stored.
template <typename V>
void MultiplyByScales(const float scales[kKeyBlock], float numbers[kKeyBlock]) {
  for (int64_t j = 0; j < kKeyBlock; j += V::kWidth) {
    V::Store(numbers + j, V::Multiply(V::Load(numbers + j), V::Load(scales + j)));
  }
}

// Adds r . p to scores[j], for p of the distance to key j.
template <typename V>
void AddRelativeScores(const AttentionRow& row, int64_t key, const AttentionShape& shape,
                       float scores[kKeyBlock]) {
  if (row.relative_q == nullptr) return;
  const float* relative = row.relative_key + key * shape.relative_stride;
  for (int64_t j = 0; j < row.VisibleKeys(key); ++j) {
    scores[j] += Dot<V>(row.relative_q, relative + j * shape.relative_stride, shape.head_dim);
  }
}

// Turns the scores of the visible keys into probabilities relative to the row's largest score so
// far, those of the others into zero, and brings the row's state to the same maximum.
template <typename V>
void UpdateSoftmax(AttentionRow& row, int64_t visible, const AttentionShape& shape,
                   float scores[kKeyBlock]) {
  using Float = typename V::Float;
  constexpr int kVectors = kKeyBlock / V::kWidth;
  const Float minus_infinity = V::Set(-__builtin_inff());
  Float values[kVectors];
  Float largest = V::Set(row.max);
  for (int v = 0; v < kVectors; ++v) {
    const int64_t rest = visible - v * V::kWidth;
    const int64_t count = rest < 0 ? 0 : rest < V::kWidth ? rest : V::kWidth;
    const Float scaled = V::Multiply(V::Load(scores + v * V::kWidth), V::Set(shape.scale));
    values[v] = V::KeepFirst(scaled, count, minus_infinity);
    largest = V::Max(values[v], largest);
  }
  const float max = V::Largest(largest);
  if (max > row.max) {
    const Float decay = Exponential<V>(V::Set(row.max - max));
    ForEachVector<V>(shape.head_dim, [&](int64_t i, int64_t n) {
      V::StoreFirst(row.out + i, V::Multiply(V::LoadFirst(row.out + i, n), decay), n);
    });
    row.sum *= V::First(decay);
    row.max = max;
  }
  Float sum = V::Zero();
  for (int v = 0; v < kVectors; ++v) {
    const Float probability = Exponential<V>(V::Subtract(values[v], V::Set(max)));
    V::Store(scores + v * V::kWidth, probability);
    sum = V::Add(sum, probability);
  }
  row.sum += V::Sum(sum);
}

// Adds probabilities[begin..end - 1] * values to out, for kRows rows and kVectors vectors of
// columns.
template <typename V, int kRows, int kVectors>
void AddValues(AttentionRow* rows, const float* const probabilities[kRows], const float* values,
               int64_t num_keys, int64_t column, int64_t head_dim) {
  const auto count = [&](int v) {
    const int64_t rest = head_dim - column - v * V::kWidth;
    return rest < V::kWidth ? rest : int64_t{V::kWidth};
  };
  Tile<V, kRows, kVectors> tile;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      tile.sums[r][v] = V::LoadFirst(rows[r].out + column + v * V::kWidth, count(v));
    }
  }
  tile.Accumulate(probabilities, num_keys, Float32Weights<V>{values + column, kMaxHeadDim});
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      V::StoreFirst(rows[r].out + column + v * V::kWidth, tile.sums[r][v], count(v));
    }
  }
}

// Adds keys begin..end - 1 of the block, with columns in groups of vectors that fill the registers.
template <typename V, int kRows>
void AddValueRows(AttentionRow* rows, const AttentionScratch& scratch, int64_t row, int64_t begin,
                  int64_t end, int64_t head_dim) {
  const float* probabilities[kRows];
  for (int r = 0; r < kRows; ++r) probabilities[r] = scratch.scores[row + r] + begin;
  const float* values = scratch.block + begin * kMaxHeadDim;
  constexpr int64_t kGroup = V::kTileVectors * V::kWidth;
  int64_t column = 0;
  for (; column + kGroup <= head_dim; column += kGroup) {
    AddValues<V, kRows, V::kTileVectors>(rows + row, probabilities, values, end - begin, column,
                                         head_dim);
  }
  for (; column < head_dim; column += V::kWidth) {
    AddValues<V, kRows, 1>(rows + row, probabilities, values, end - begin, column, head_dim);
  }
}

// Adds the values of a tile's rows: first the keys that all rows see, then for each row the keys
// that only it sees. So no value is multiplied by the zero of a row that must not see it.
template <typename V>
void WeighValues(AttentionRow* rows, int64_t begin, int64_t end, int64_t key, int64_t head_dim,
                 const AttentionScratch& scratch) {
  ForEachTile<V::kTileRows>(begin, end, [&](auto tile_rows, int64_t row) {
    constexpr int kRows = tile_rows.kCount;
    int64_t shared = kKeyBlock;
    for (int r = 0; r < kRows; ++r) {
      const int64_t visible = rows[row + r].VisibleKeys(key);
      if (visible < shared) shared = visible;
    }
    AddValueRows<V, kRows>(rows, scratch, row, 0, shared, head_dim);
    for (int64_t r = row; r < row + kRows; ++r) {
      const int64_t visible = rows[r].VisibleKeys(key);
      if (visible > shared) AddValueRows<V, 1>(rows, scratch, r, shared, visible, head_dim);
    }
  });
}

// Computes rows that are in the order of num_keys.
template <typename V, typename KeyRows>
void AttendRows(AttentionRow* rows, int64_t num_rows, const AttentionShape& shape,
                const KeyRows& keys, const KeyRows& values) {
  AttentionScratch scratch;
  for (int64_t row = 0; row < num_rows; ++row) {
    ForEachVector<V>(shape.head_dim,
                     [&](int64_t i, int64_t n) { V::StoreFirst(rows[row].out + i, V::Zero(), n); });
  }
  const int64_t num_keys = rows[num_rows - 1].num_keys;
  int64_t begin = 0;  // rows before it see no key of the block
  for (int64_t key = 0; key < num_keys; key += kKeyBlock) {
    while (rows[begin].num_keys <= key) begin += 1;
    const int64_t count = num_keys - key < kKeyBlock ? num_keys - key : kKeyBlock;
    LoadTransposed<V>(keys, key, count, shape.head_dim, scratch.block, kKeyBlock);
    ScoreKeys<V>(rows, begin, num_rows, shape.head_dim, scratch);
    if constexpr (KeyRows::kHasScales) {
      LoadScales(keys, key, count, scratch.key_scales, kKeyBlock);
      LoadScales(values, key, count, scratch.value_scales, kKeyBlock);
    }
    for (int64_t row = begin; row < num_rows; ++row) {
      if constexpr (KeyRows::kHasScales) {
        MultiplyByScales<V>(scratch.key_scales, scratch.scores[row]);
      }
      AddRelativeScores<V>(rows[row], key, shape, scratch.scores[row]);
      UpdateSoftmax<V>(rows[row], rows[row].VisibleKeys(key), shape, scratch.scores[row]);
      if constexpr (KeyRows::kHasScales) {
        MultiplyByScales<V>(scratch.value_scales, scratch.scores[row]);
      }
    }
    LoadRows<V>(values, key, count, shape.head_dim, scratch.block, kMaxHeadDim);
    WeighValues<V>(rows, begin, num_rows, key, shape.head_dim, scratch);
  }
  for (int64_t row = 0; row < num_rows; ++row) {
    const typename V::Float sum = V::Set(rows[row].sum);
    ForEachVector<V>(shape.head_dim, [&](int64_t i, int64_t n) {
      V::StoreFirst(rows[row].out + i, V::Divide(V::LoadFirst(rows[row].out + i, n), sum), n);
    });
  }
}

// Row `row` of the queries and heads of a call.
inline AttentionRow PagedRow(const PagedAttentionArgs& args, int64_t row) {
  const int64_t query = row / args.num_heads;
  const int64_t head = row % args.num_heads;
  return {.q = args.q + query * args.q_stride + head * args.head_dim,
          .out = args.out + query * args.out_stride + head * args.head_dim,
          .num_keys = args.first_position + query + 1,
          .relative_q = nullptr,
          .relative_key = nullptr};
}

template <typename V, typename KeyRows>
void AttendPaged(const PagedAttentionArgs& args, const KeyRows& keys, const KeyRows& values) {
  const AttentionShape shape = {args.head_dim, args.scale, 0};
  const int64_t num_rows = args.num_queries * args.num_heads;
  AttentionRow rows[kRowsPerChunk];
  for (int64_t begin = 0; begin < num_rows; begin += kRowsPerChunk) {
    const int64_t count = num_rows - begin < kRowsPerChunk ? num_rows - begin : kRowsPerChunk;
    for (int64_t i = 0; i < count; ++i) rows[i] = PagedRow(args, begin + i);
    AttendRows<V>(rows, count, shape, keys, values);
  }
}

template <typename T>
PagedRows<T> PagedRowsOf(const PagedAttentionArgs& args, const void* rows) {
  return {static_cast<const T*>(rows), args.block_table, args.block_size, args.block_stride,
          args.token_stride};
}

inline ScaledRows ScaledRowsOf(const PagedAttentionArgs& args, const void* rows,
                               const float* scales) {
  return {PagedRowsOf<uint8_t>(args, rows), scales, args.scale_stride};
}

template <typename V>
void Paged(const PagedAttentionArgs& args) {
  switch (args.kv_dtype) {
    case KvDtype::kFloat32:
      return AttendPaged<V>(args, PagedRowsOf<float>(args, args.keys),
                            PagedRowsOf<float>(args, args.values));
    case KvDtype::kBfloat16:
      return AttendPaged<V>(args, PagedRowsOf<uint16_t>(args, args.keys),
                            PagedRowsOf<uint16_t>(args, args.values));
    case KvDtype::kInt8:
      return AttendPaged<V>(args, ScaledRowsOf(args, args.keys, args.key_scales),
                            ScaledRowsOf(args, args.values, args.value_scales));
  }
}

inline AttentionRow FullRow(const FullAttentionArgs& args, int64_t query) {
  const bool has_relative = args.relative_q != nullptr;
  const int64_t distance = args.first_query + query;  // to key 0
  return {.q = args.q + query * args.q_stride,
          .out = args.out + query * args.out_stride,
          .num_keys = args.num_keys,
          .relative_q = has_relative ? args.relative_q + query * args.q_stride : nullptr,
          .relative_key =
              has_relative ? args.relative_keys - distance * args.relative_stride : nullptr};
}

template <typename V>
void Full(const FullAttentionArgs& args) {
  const DenseRows keys = {args.keys, args.kv_stride};
  const DenseRows values = {args.values, args.kv_stride};
  const AttentionShape shape = {args.head_dim, args.scale, args.relative_stride};
  AttentionRow rows[kRowsPerChunk];
  for (int64_t begin = 0; begin < args.num_queries; begin += kRowsPerChunk) {
    const int64_t rest = args.num_queries - begin;
    const int64_t count = rest < kRowsPerChunk ? rest : kRowsPerChunk;
    for (int64_t i = 0; i < count; ++i) rows[i] = FullRow(args, begin + i);
    AttendRows<V>(rows, count, shape, keys, values);
  }
}

template <typename V>
AttentionKernels Attention(const char* isa) {
  return {.isa = isa, .scratch_bytes = 0, .paged = Paged<V>, .full = Full<V>};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ATTENTION_H_
