#ifndef AUTOGLM_KERNELS_SIMD_ATTENTION_ATTENTION_H_
#define AUTOGLM_KERNELS_SIMD_ATTENTION_ATTENTION_H_

#include "kernels/kernels.h"
#include "kernels/simd/attention/block_rows.h"
#include "kernels/simd/attention/float_products.h"
#include "kernels/simd/attention/key_rows.h"
#include "kernels/simd/attention/lane_dots.h"
#include "kernels/simd/attention/lane_products.h"
#include "kernels/simd/attention/relative_scores.h"
#include "kernels/simd/attention/softmax_rows.h"
#include "kernels/simd/sweep.h"

namespace autoglm::kernels {
namespace {

// Rows of queries walk the keys together, a block of Products::kKeyBlock at a time from position 0:
// what both products need of it is prepared once for all rows.
constexpr int64_t kRowsPerChunk = 96;

// Returns how many of the rows that are left the next chunk takes, so that chunks are of about one size.
inline int64_t RowsOfChunk(int64_t rest) {
  const int64_t num_chunks = (rest + kRowsPerChunk - 1) / kRowsPerChunk;
  return (rest + num_chunks - 1) / num_chunks;
}

// Computes rows that are in the order of num_keys. Relative adds a term to their scores.
template <typename V, typename Products, typename Relative, typename Rows>
void AttendRows(AttentionRow* rows, int64_t num_rows, const AttentionShape& shape, const Rows& keys,
                const Rows& values) {
  constexpr int64_t kKeyBlock = Products::kKeyBlock;
  Products products(shape.head_dim);
  products.PrepareQueries(rows, num_rows);
  Relative relative;
  for (int64_t row = 0; row < num_rows; ++row) {
    ForEachVector<V>(shape.head_dim,
                     [&](int64_t i, int64_t n) { V::StoreFirst(rows[row].out + i, V::Zero(), n); });
  }
  BlockRows<Rows, kKeyBlock> block(keys, values, rows[num_rows - 1].num_keys);
  int64_t begin = 0;  // rows before it see no key of the block
  for (; !block.IsAtEnd(); block.Advance()) {
    while (rows[begin].num_keys <= block.key()) begin += 1;
    products.LoadKeys(block.keys());
    products.LoadScales(keys, values, block.key(), block.count());
    products.template ScoreKeys<Rows>(rows, begin, num_rows);
    relative.Load(rows, num_rows, block.key(), block.count(), shape);
    const int64_t rows_of_share = block.RowsOfShare(num_rows - begin);
    for (int64_t row = begin; row < num_rows; ++row) {
      block.FetchShare(row - begin, rows_of_share, shape.head_dim);
      const int64_t visible = rows[row].template VisibleKeys<kKeyBlock>(block.key());
      relative.AddTo(rows[row], row, shape.head_dim, products.scores[row]);
      UpdateSoftmax<V, kKeyBlock>(rows[row], visible, shape, products.scores[row]);
      products.template PrepareProbabilities<Rows>(row, visible);
    }
    products.LoadValues(block.values(), block.count());
    products.AddValues(rows, begin, num_rows, block.key());
  }
  for (int64_t row = 0; row < num_rows; ++row) {
    const typename V::Float sum = V::Set(rows[row].sum);
    ForEachVector<V>(shape.head_dim, [&](int64_t i, int64_t n) {
      V::StoreFirst(rows[row].out + i, V::Divide(V::LoadFirst(rows[row].out + i, n), sum), n);
    });
  }
}

// Rows of float32, and of bfloat16 where no instruction multiplies its pairs.
template <typename V, int64_t kMaxDim>
using OfFloats = FloatProducts<V, kRowsPerChunk, kMaxDim>;
template <typename V>
using OfBfloat16 = LaneProducts<V, Bfloat16Lanes<V>, kRowsPerChunk>;
// Rows of int8, with and without an instruction that multiplies bytes.
template <typename V>
using OfBytes = LaneProducts<V, ByteLanes<V>, kRowsPerChunk>;
template <typename V>
using OfInt16 = LaneProducts<V, Int16Lanes<V>, kRowsPerChunk>;

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

template <typename V, typename Products, typename Rows>
void AttendPaged(const PagedAttentionArgs& args, const Rows& keys, const Rows& values) {
  const AttentionShape shape = {args.head_dim, args.scale, 0};
  const int64_t num_rows = args.num_queries * args.num_heads;
  AttentionRow rows[kRowsPerChunk];
  for (int64_t begin = 0, count = 0; begin < num_rows; begin += count) {
    count = RowsOfChunk(num_rows - begin);
    for (int64_t i = 0; i < count; ++i) rows[i] = PagedRow(args, begin + i);
    AttendRows<V, Products, NoRelativeScores>(rows, count, shape, keys, values);
  }
}

template <typename V, typename Rows>
void AttendPagedFloats(const PagedAttentionArgs& args, const Rows& keys, const Rows& values) {
  if (args.head_dim <= kNarrowHeadDim) {
    return AttendPaged<V, OfFloats<V, kNarrowHeadDim>>(args, keys, values);
  }
  AttendPaged<V, OfFloats<V, kMaxHeadDim>>(args, keys, values);
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
  const auto bfloat16 = [&](const void* rows) { return PagedRowsOf<uint16_t>(args, rows); };
  switch (args.kv_dtype) {
    case KvDtype::kFloat32:
      return AttendPagedFloats<V>(args, PagedRowsOf<float>(args, args.keys),
                                  PagedRowsOf<float>(args, args.values));
    case KvDtype::kBfloat16:
      if constexpr (V::kHasBfloat16Dot) {
        return AttendPaged<V, OfBfloat16<V>>(args, bfloat16(args.keys), bfloat16(args.values));
      }
      return AttendPagedFloats<V>(args, bfloat16(args.keys), bfloat16(args.values));
    case KvDtype::kInt8: {
      const ScaledRows keys = ScaledRowsOf(args, args.keys, args.key_scales);
      const ScaledRows values = ScaledRowsOf(args, args.values, args.value_scales);
      if constexpr (V::kHasByteDot) return AttendPaged<V, OfBytes<V>>(args, keys, values);
      return AttendPaged<V, OfInt16<V>>(args, keys, values);
    }
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

template <typename V, typename Products, typename Relative>
void AttendFull(const FullAttentionArgs& args) {
  const DenseRows keys = {args.keys, args.kv_stride};
  const DenseRows values = {args.values, args.kv_stride};
  const AttentionShape shape = {args.head_dim, args.scale, args.relative_stride};
  AttentionRow rows[kRowsPerChunk];
  for (int64_t begin = 0, count = 0; begin < args.num_queries; begin += count) {
    count = RowsOfChunk(args.num_queries - begin);
    for (int64_t i = 0; i < count; ++i) rows[i] = FullRow(args, begin + i);
    AttendRows<V, Products, Relative>(rows, count, shape, keys, values);
  }
}

template <typename V, typename Products>
void AttendFull(const FullAttentionArgs& args) {
  using Relative = RelativeScores<V, Products::kKeyBlock, kRowsPerChunk, Products::kMaxDim>;
  if (args.relative_q != nullptr) return AttendFull<V, Products, Relative>(args);
  AttendFull<V, Products, NoRelativeScores>(args);
}

template <typename V>
void Full(const FullAttentionArgs& args) {
  if constexpr (V::kHasBfloat16Dot) {
    if (args.product_dtype == Dtype::kBfloat16) return AttendFull<V, OfBfloat16<V>>(args);
  }
  if (args.head_dim <= kNarrowHeadDim) return AttendFull<V, OfFloats<V, kNarrowHeadDim>>(args);
  AttendFull<V, OfFloats<V, kMaxHeadDim>>(args);
}

template <typename V>
AttentionKernels Attention(const char* isa) {
  return {.isa = isa, .scratch_bytes = 0, .paged = Paged<V>, .full = Full<V>};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ATTENTION_ATTENTION_H_
