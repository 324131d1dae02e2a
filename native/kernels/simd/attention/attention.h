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

// Rows of queries that are multiplied together with a block of keys.
constexpr int64_t kRowsPerChunk = 96;
// Rows of a call that share what is packed.
constexpr int64_t kRowsPerCall = 2048;
// Bytes of a span: four of the largest blocks, a quarter of a second-level cache.
constexpr int64_t kSpanBytes = 256 * 1024;

// Memory of a call. A span of blocks is packed at a time: chunks of rows then take all of its blocks in turn,
// with their sums in the first-level cache and the keys in the second.
struct AttentionScratch {
  alignas(64) float blocks[kSpanBytes / sizeof(float)];
  SoftmaxState softmaxes[kRowsPerCall];
};

// Returns how many of the rows that are left the next chunk takes, so that chunks are of about one size.
inline int64_t RowsOfChunk(int64_t rest) {
  const int64_t num_chunks = (rest + kRowsPerChunk - 1) / kRowsPerChunk;
  return (rest + num_chunks - 1) / num_chunks;
}

// Computes rows, at most kRowsPerCall, in the order of num_keys. Keys are walked in blocks of
// Products::kKeyBlock from position 0, whatever shares them. Relative adds a term to scores.
template <typename V, typename Products, typename Relative, typename Rows>
class RowWalk {
 public:
  RowWalk(AttentionScratch& scratch, const AttentionShape& shape, const Rows& keys,
          const Rows& values)
      : scratch_(scratch),
        shape_(shape),
        keys_(keys),
        values_(values),
        products_(shape.head_dim),
        block_floats_(products_.BlockBytes() / int64_t{sizeof(float)}) {}

  // row_at(i) describes row i.
  template <typename RowAt>
  void Run(int64_t num_rows, const RowAt& row_at) {
    num_keys_ = row_at(num_rows - 1).num_keys;
    // A chunk alone packs each block when it comes to it: its keys then lie in the first-level cache.
    is_alone_ = num_rows <= kRowsPerChunk;
    span_keys_ = is_alone_ ? num_keys_ : kSpanBytes / products_.BlockBytes() * kKeyBlock;
    if (is_alone_) places_[turn_].Find(keys_, values_, 0, num_keys_);
    for (int64_t key = 0; key < num_keys_; key += span_keys_) {
      const int64_t end = num_keys_ - key < span_keys_ ? num_keys_ : key + span_keys_;
      if (!is_alone_) PackSpan(key, end);
      for (int64_t begin = 0, count = 0; begin < num_rows; begin += count) {
        count = RowsOfChunk(num_rows - begin);
        for (int64_t i = 0; i < count; ++i) {
          rows_[i] = row_at(begin + i);
          rows_[i].softmax = &scratch_.softmaxes[begin + i];
          if (key == 0) BeginRow<V>(rows_[i], shape_.head_dim);
        }
        num_rows_ = count;
        is_last_ = begin + count == num_rows;
        TakeSpan(key, end);
        for (int64_t i = 0; i < count && end == num_keys_; ++i) {
          EndRow<V>(rows_[i], shape_.head_dim);
        }
      }
    }
  }

 private:
  static constexpr int64_t kKeyBlock = Products::kKeyBlock;
  using Places = BlockRows<Rows, kKeyBlock>;

  void PackSpan(int64_t key, int64_t end) {
    float* block = scratch_.blocks;
    for (; key < end; key += kKeyBlock, block += block_floats_) {
      Places& places = places_[0];
      places.Find(keys_, values_, key, end);
      products_.PackScales(keys_, values_, key, places.count(), block);
      products_.PackKeys(places.keys(), places.count(), block);
      products_.PackValues(places.values(), places.count(), block);
    }
  }

  // Takes the chunk through the blocks of keys key..end - 1.
  void TakeSpan(int64_t key, int64_t end) {
    if (rows_[num_rows_ - 1].num_keys <= key) return;
    products_.PrepareQueries(rows_, num_rows_);
    if constexpr (Products::kMayTakeRows) {
      takes_rows_ = is_alone_ && products_.TakesRows(rows_, num_rows_);
    }
    int64_t begin = 0;  // rows before it see no key of the block
    float* block = scratch_.blocks;
    for (; key < end && key < rows_[num_rows_ - 1].num_keys; key += kKeyBlock) {
      while (rows_[begin].num_keys <= key) begin += 1;
      TakeBlock(begin, key, end - key < kKeyBlock ? end - key : kKeyBlock, block);
      if (!is_alone_) block += block_floats_;
    }
  }

  // Takes the rows from `begin` on through a block of `count` keys. The last chunk asks for the rows that are
  // to be packed next.
  void TakeBlock(int64_t begin, int64_t key, int64_t count, float* block) {
    constexpr int kVectors = kKeyBlock / V::kWidth;
    const Places& now = places_[turn_];
    int64_t rows_of_share = 0;
    if (is_last_) {
      turn_ = 1 - turn_;
      places_[turn_].Find(keys_, values_, key + (is_alone_ ? kKeyBlock : span_keys_), num_keys_);
      rows_of_share = places_[turn_].RowsOfShare(num_rows_ - begin);
    }
    ScoreBlock(begin, key, count, now, block);
    relative_.Load(rows_, num_rows_, key, count, shape_);
    for (int64_t row = begin; row < num_rows_; ++row) {
      if (is_last_) places_[turn_].FetchShare(row - begin, rows_of_share, shape_.head_dim);
      const int64_t visible = rows_[row].template VisibleKeys<kKeyBlock>(key);
      relative_.AddTo(rows_[row], row, shape_.head_dim, products_.scores[row]);
      typename V::Float probabilities[kVectors];
      WeighScores<V, kKeyBlock, Products::kPowerDegree>(rows_[row], visible, shape_,
                                                        products_.scores[row], probabilities);
      products_.template PrepareProbabilities<Rows>(row, visible, probabilities, block);
    }
    if constexpr (Products::kMayTakeRows) {
      if (takes_rows_) return products_.AddRows(rows_, now.values(), count, num_rows_);
    }
    if (is_alone_) products_.PackValues(now.values(), count, block);
    products_.AddValues(rows_, begin, num_rows_, block, key, count);
  }

  void ScoreBlock(int64_t begin, int64_t key, int64_t count, const Places& now, float* block) {
    if constexpr (Products::kMayTakeRows) {
      if (takes_rows_) return products_.ScoreRows(now.keys(), count, num_rows_);
    }
    if (is_alone_) {
      products_.PackScales(keys_, values_, key, count, block);
      products_.PackKeys(now.keys(), count, block);
    }
    products_.template ScoreKeys<Rows>(rows_, begin, num_rows_, block, count);
  }

  AttentionScratch& scratch_;
  const AttentionShape& shape_;
  const Rows& keys_;
  const Rows& values_;
  Products products_;
  Relative relative_;
  const int64_t block_floats_;
  int64_t num_keys_ = 0;
  int64_t span_keys_ = 0;
  int64_t num_rows_ = 0;  // of the chunk
  bool is_alone_ = false;
  bool is_last_ = false;
  bool takes_rows_ = false;
  int turn_ = 0;
  Places places_[2];  // of this block and the next, in turns
  AttentionRow rows_[kRowsPerChunk];  // the chunk
};

// Computes any number of rows.
template <typename V, typename Products, typename Relative, typename Rows, typename RowAt>
void AttendRows(void* scratch, int64_t num_rows, const RowAt& row_at, const AttentionShape& shape,
                const Rows& keys, const Rows& values) {
  RowWalk<V, Products, Relative, Rows> walk(*static_cast<AttentionScratch*>(scratch), shape, keys,
                                            values);
  for (int64_t begin = 0; begin < num_rows; begin += kRowsPerCall) {
    const int64_t count = num_rows - begin < kRowsPerCall ? num_rows - begin : kRowsPerCall;
    walk.Run(count, [&](int64_t row) { return row_at(begin + row); });
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
          .relative_key = nullptr,
          .softmax = nullptr};
}

template <typename V, typename Products, typename Rows>
void AttendPaged(const PagedAttentionArgs& args, const Rows& keys, const Rows& values) {
  AttendRows<V, Products, NoRelativeScores>(
      args.scratch, args.num_queries * args.num_heads,
      [&](int64_t row) { return PagedRow(args, row); },
      AttentionShape{args.head_dim, args.scale, 0}, keys, values);
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
              has_relative ? args.relative_keys - distance * args.relative_stride : nullptr,
          .softmax = nullptr};
}

template <typename V, typename Products, typename Relative>
void AttendFull(const FullAttentionArgs& args) {
  AttendRows<V, Products, Relative>(
      args.scratch, args.num_queries, [&](int64_t row) { return FullRow(args, row); },
      AttentionShape{args.head_dim, args.scale, args.relative_stride},
      DenseRows{args.keys, args.kv_stride}, DenseRows{args.values, args.kv_stride});
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
  return {.isa = isa, .scratch_bytes = sizeof(AttentionScratch), .paged = Paged<V>, .full = Full<V>};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ATTENTION_ATTENTION_H_
