#ifndef AUTOGLM_KERNELS_CUDA_ATTENTION_ROWS_CUH_
#define AUTOGLM_KERNELS_CUDA_ATTENTION_ROWS_CUH_

#include <cstddef>
#include <cstdint>

#include "base/kv_dtype.h"
#include "kernels/cuda/simt.h"

namespace autoglm::cuda {

// What the kernels of attention share: where rows and keys lie, and how the softmax of a row is put
// together. A row is a query of one head.
//
// The keys of a row are walked in segments of kSegmentKeys from position 0, whatever shares the
// step. Each segment has a softmax of its own, and segments are merged in order. A block walks all
// segments of its rows, or one of them, and then CombineSegments merges. Either way a row takes the
// same operations in the same order, so its bits do not depend on which it was.

inline constexpr int kSegmentKeys = 256;

constexpr float kNegativeInfinity = -__builtin_huge_valf();
constexpr float kLog2OfE = 1.44269504f;

// Where keys and values lie: [blocks][heads][block_size][head_dim], values as keys. Key j of a
// sequence is row j % block_size of block block_table[j / block_size].
struct KeyLayout {
  const std::byte* keys;
  const std::byte* values;
  KvDtype dtype;
  bool is_aligned;  // rows are whole pieces of 16 bytes, at multiples of 16
  int num_heads;
  int head_dim;
  int block_size;
  int64_t block_bytes;
  int64_t head_bytes;
  int64_t token_bytes;
  int64_t scales_offset;  // from a head's numbers to its [block_size] scales; of int8
};

// Results of one segment each, if a block walks one segment only. A slot is a row.
struct SegmentResults {
  float* weighted = nullptr;  // [segments, num_slots, head_dim]: values times probabilities
  float* states = nullptr;    // [segments, num_slots, 2]: largest score, sum of probabilities
  int64_t num_slots = 0;
};

// Places of the queries among blocks of threads. A tile is queries_per_tile queries of one sequence
// times heads_per_tile heads that share a KV head.
struct Tiling {
  int heads_per_tile;
  int queries_per_tile;
  int head_splits;  // tiles that the heads of one KV head need
  // Sequences with fewer or more queries are left to another launch.
  int min_queries;
  int max_queries;
  bool is_sequence_a_tile;  // max_queries is at most queries_per_tile
};

// Relative keys in bfloat16: [heads, num_queries + num_keys - 1, head_dim of the keys], the largest
// distance first.
struct RelativeRows {
  const std::byte* rows;
  int64_t head_bytes;
};

struct AttentionArgs {
  const float* q;  // [num_queries, num_heads * head_dim]
  int64_t q_stride;
  float* out;  // as q
  int64_t out_stride;
  int num_queries;
  int num_heads;
  int head_dim;
  KeyLayout kv;
  Tiling tiling;
  // Of paged attention; query_starts null: one sequence whose queries all see num_keys keys.
  int num_sequences;
  const int32_t* query_starts;  // [num_sequences + 1]
  const int32_t* context_lens;  // [num_sequences]
  const int32_t* block_tables;  // [num_sequences, max_blocks_per_sequence]
  int64_t max_blocks_per_sequence;
  int num_keys;
  float log2_scale;  // of scores, for powers of two
  // Of relative positions; null: none.
  const float* relative_q;  // as q
  const float* relative_keys;
  int64_t relative_stride;
  RelativeRows relative_rows;  // where keys are bfloat16
  SegmentResults segments;
};

// Consecutive queries of one sequence.
struct QueryRange {
  int sequence;
  int first;  // of the queries of the step
  int count;  // 0: none
  int first_visible;  // keys that the first query sees
  int visible_step;   // how many more each next query sees: 0 or 1

  SIMT_DEVICE int Visible(int query) const { return first_visible + query * visible_step; }
};

// The rows of one block: row r is query r / heads_per_tile, head r % heads_per_tile.
struct RowTile {
  QueryRange queries;
  int first_head;
  int num_heads;
  int kv_head;
  const int32_t* block_table;  // null: there is one block
};

// Returns the queries from `skipped` on of a sequence, at most `limit`.
SIMT_DEVICE QueryRange QueriesOf(const AttentionArgs& args, int sequence, int skipped, int limit) {
  const bool is_paged = args.query_starts != nullptr;
  const int begin = is_paged ? args.query_starts[sequence] : 0;
  const int end = is_paged ? args.query_starts[sequence + 1] : args.num_queries;
  const int length = end - begin;
  const int rest = length - skipped;
  const bool is_mine = length >= args.tiling.min_queries && length <= args.tiling.max_queries;
  QueryRange range;
  range.sequence = sequence;
  range.first = begin + skipped;
  range.count = !is_mine || rest < 0 ? 0 : rest < limit ? rest : limit;
  range.first_visible =
      is_paged ? args.context_lens[sequence] - length + skipped + 1 : args.num_keys;
  range.visible_step = is_paged ? 1 : 0;
  return range;
}

// Returns the last sequence of which `first_of(sequence)` is at most `index`.
template <typename FirstOf>
SIMT_DEVICE int FindSequence(int num_sequences, int index, const FirstOf& first_of) {
  int low = 0;
  int high = num_sequences - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (first_of(middle) <= index) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

// Finds the queries of tile `index`. The tiles of sequence i are counted from
// query_starts[i] / queries_per_tile + i on: that leaves room for all of them, without a sum over
// the sequences before.
SIMT_DEVICE QueryRange FindQueries(const AttentionArgs& args, int index) {
  const int limit = args.tiling.queries_per_tile;
  if (args.query_starts == nullptr) return QueriesOf(args, 0, index * limit, limit);
  if (args.tiling.is_sequence_a_tile) return QueriesOf(args, index, 0, limit);
  const auto first_tile = [&](int sequence) {
    return args.query_starts[sequence] / limit + sequence;
  };
  const int sequence = FindSequence(args.num_sequences, index, first_tile);
  return QueriesOf(args, sequence, (index - first_tile(sequence)) * limit, limit);
}

// Finds the rows of this block. Late queries see most keys, so their blocks begin first.
SIMT_DEVICE RowTile FindTile(const AttentionArgs& args) {
  RowTile tile;
  tile.queries = FindQueries(args, BlockCount().x - 1 - BlockIndex().x);
  const int group = args.num_heads / args.kv.num_heads;
  const int split = BlockIndex().y % args.tiling.head_splits;
  const int first = split * args.tiling.heads_per_tile;
  const int rest = group - first;
  tile.kv_head = BlockIndex().y / args.tiling.head_splits;
  tile.first_head = tile.kv_head * group + first;
  tile.num_heads = rest < args.tiling.heads_per_tile ? rest : args.tiling.heads_per_tile;
  tile.block_table = args.block_tables == nullptr
                         ? nullptr
                         : args.block_tables +
                               tile.queries.sequence * args.max_blocks_per_sequence;
  return tile;
}

// One row of a tile as its threads see it.
struct TileRow {
  bool exists;
  int query;  // of the tile
  int head;   // of all heads
  int visible;
};

SIMT_DEVICE TileRow RowOf(const AttentionArgs& args, const RowTile& tile, int row) {
  TileRow found;
  found.query = row / args.tiling.heads_per_tile;
  const int head = row % args.tiling.heads_per_tile;
  found.head = tile.first_head + head;
  found.exists = found.query < tile.queries.count && head < tile.num_heads;
  // A row that does not exist sees what the last one sees, and is not stored.
  const int last = tile.queries.count - 1;
  found.visible = tile.queries.Visible(found.query < last ? found.query : last);
  return found;
}

// Keys begin .. end - 1 that a block walks for its rows; segments end at multiples of kSegmentKeys.
struct KeyRange {
  int begin;
  int end;
  int most_visible;    // of the tile's rows
  int fewest_visible;
};

SIMT_DEVICE KeyRange FindKeys(const AttentionArgs& args, const RowTile& tile) {
  KeyRange keys;
  keys.fewest_visible = tile.queries.Visible(0);
  keys.most_visible = tile.queries.Visible(tile.queries.count - 1);
  keys.begin = 0;
  keys.end = keys.most_visible;
  if (args.segments.weighted != nullptr) {
    keys.begin = BlockIndex().z * kSegmentKeys;
    const int end = keys.begin + kSegmentKeys;
    keys.end = end < keys.end ? end : keys.end;
  }
  return keys;
}

// Returns where the row of a key lies in the memory of keys, or of values.
SIMT_DEVICE int64_t PlaceOf(const KeyLayout& kv, const RowTile& tile, int key) {
  const int index = key / kv.block_size;
  const int block = tile.block_table == nullptr ? index : tile.block_table[index];
  return block * kv.block_bytes + tile.kv_head * kv.head_bytes +
         (key - index * kv.block_size) * kv.token_bytes;
}

// Returns where the scale of a key of an int8 cache lies.
SIMT_DEVICE int64_t ScalePlaceOf(const KeyLayout& kv, const RowTile& tile, int key) {
  const int index = key / kv.block_size;
  const int block = tile.block_table == nullptr ? index : tile.block_table[index];
  return block * kv.block_bytes + tile.kv_head * kv.head_bytes + kv.scales_offset +
         (key - index * kv.block_size) * int64_t{sizeof(float)};
}

// The softmax of a row so far: what is summed is relative to `max`, in powers of two.
struct RowState {
  float max = kNegativeInfinity;
  float sum = 0.0f;
};

// What is passed over: NaN.
SIMT_DEVICE float LargerOf(float value, float max) { return value > max ? value : max; }

// Returns what sums relative to `from` are multiplied with to be relative to `to`, which is not
// smaller.
SIMT_DEVICE float Decay(float from, float to) {
  return from == kNegativeInfinity ? 0.0f : Exp2(from - to);
}

// Factors with which a segment is merged into the segments before it.
struct Merge {
  float total;
  float segment;

  SIMT_DEVICE float operator()(float before, float value) const {
    return Fma(before, total, value * segment);
  }
};

// Merges the states and returns how values are merged. The first segment is merged as it is.
SIMT_DEVICE Merge MergeStates(const RowState& segment, RowState& total) {
  const float max = LargerOf(segment.max, total.max);
  const Merge merge = {Decay(total.max, max), Decay(segment.max, max)};
  total.sum = merge(total.sum, segment.sum);
  total.max = max;
  return merge;
}

// Returns where a row's segment is kept.
SIMT_DEVICE int64_t SlotOf(const AttentionArgs& args, const QueryRange& queries, int query,
                           int head) {
  const int row = args.tiling.is_sequence_a_tile
                      ? queries.sequence * args.tiling.queries_per_tile + query
                      : queries.first + query;
  return int64_t{row} * args.num_heads + head;
}

// Where the values of a row go, and what they are multiplied with.
struct RowTarget {
  float* row;
  float factor;
};

// Returns the target of a row that exists: the output, or that of this block's segment, whose state
// one thread stores.
SIMT_DEVICE RowTarget TargetOf(const AttentionArgs& args, const RowTile& tile, const TileRow& row,
                               const RowState& state, bool stores_state) {
  if (args.segments.weighted == nullptr) {
    return {args.out + (tile.queries.first + row.query) * args.out_stride +
                int64_t{row.head} * args.head_dim,
            1.0f / state.sum};
  }
  const int64_t index = BlockIndex().z * args.segments.num_slots +
                        SlotOf(args, tile.queries, row.query, row.head);
  if (stores_state) {
    args.segments.states[2 * index] = state.max;
    args.segments.states[2 * index + 1] = state.sum;
  }
  return {args.segments.weighted + index * args.head_dim, 1.0f};
}

// Writes rows of which one segment each was computed. A warp takes a row.
struct CombineSegments {
  using Args = AttentionArgs;
  static constexpr int kThreads = 128;

  SIMT_DEVICE void operator()(const Args& args) const {
    const int head = BlockIndex().y * (kThreads / kWarpSize) + WarpIndex();
    const QueryRange query = QueryOf(args, BlockIndex().x);
    if (query.count == 0 || head >= args.num_heads) return;
    const int offset = args.tiling.is_sequence_a_tile
                           ? BlockIndex().x % args.tiling.queries_per_tile
                           : 0;
    const QueryRange start = {query.sequence, query.first - offset, 1, 0, 0};
    const int64_t slot = SlotOf(args, start, offset, head);
    const int num_segments = (query.first_visible + kSegmentKeys - 1) / kSegmentKeys;
    const SegmentResults& results = args.segments;
    float* out = args.out + query.first * args.out_stride + int64_t{head} * args.head_dim;
    for (int dim = LaneIndex(); dim < args.head_dim; dim += kWarpSize) {
      RowState total;
      float value = 0.0f;
      for (int segment = 0; segment < num_segments; ++segment) {
        const int64_t index = segment * results.num_slots + slot;
        const RowState state = {results.states[2 * index], results.states[2 * index + 1]};
        value = MergeStates(state, total)(value, results.weighted[index * args.head_dim + dim]);
      }
      out[dim] = value * (1.0f / total.sum);
    }
  }

 private:
  // Returns the query of block `index`, alone.
  static SIMT_DEVICE QueryRange QueryOf(const Args& args, int index) {
    const int per_tile = args.tiling.queries_per_tile;
    if (args.query_starts == nullptr) return QueriesOf(args, 0, index, 1);
    if (args.tiling.is_sequence_a_tile) {
      return QueriesOf(args, index / per_tile, index % per_tile, 1);
    }
    const int sequence = FindSequence(args.num_sequences, index,
                                      [&](int i) { return args.query_starts[i]; });
    return QueriesOf(args, sequence, index - args.query_starts[sequence], 1);
  }
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_ATTENTION_ROWS_CUH_
