#include <algorithm>
#include <limits>

#include "kernels/cuda/attention/exact_attention.cuh"
#include "kernels/cuda/attention/rows.cuh"
#include "kernels/cuda/attention/tile_attention.cuh"
#include "kernels/cuda/cuda_context.h"
#include "kernels/cuda/cuda_ops.h"

namespace autoglm::cuda {
namespace {

constexpr int kAnyNumber = std::numeric_limits<int>::max();
// Fewer blocks than this for each multiprocessor leave it waiting for memory.
constexpr int64_t kWantedBlocks = 4;
// Widest head whose relative positions tensor cores take.
constexpr int64_t kMostRelativeDims = 128;

bool IsMultipleOf16(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

// Divides `group` heads that share a KV head, and queries, among tiles of `rows` rows.
Tiling TilingOf(int rows, int group) {
  const int heads = std::min(group, rows);
  return {.heads_per_tile = heads,
          .queries_per_tile = rows / heads,
          .head_splits = static_cast<int>(DivideUp(group, heads)),
          .min_queries = 1,
          .max_queries = kAnyNumber,
          .is_sequence_a_tile = false};
}

// One launch of attention, and what it may need of the scratch.
class Attention {
 public:
  Attention(CudaContext& cuda, const AttentionArgs& args, int64_t most_keys)
      : cuda_(cuda), args_(args), num_segments_(DivideUp(most_keys, kSegmentKeys)) {}

  template <typename Kernel>
  void RunWith(const Tiling& tiling) {
    AttentionArgs args = args_;
    args.tiling = tiling;
    const int64_t tiles = NumTiles(args);
    const int64_t columns = int64_t{args.kv.num_heads} * tiling.head_splits;
    const bool is_apart = tiles * columns < kWantedBlocks * cuda_.properties().num_multiprocessors;
    const int64_t num_rows = NumRows(args);
    if (is_apart) args.segments = TakeSegments(num_rows * args.num_heads);
    const bool has_segments = args.segments.weighted != nullptr;
    Launch<Kernel>(cuda_.stream(),
                   {.x = static_cast<int>(tiles),
                    .y = static_cast<int>(columns),
                    .z = has_segments ? static_cast<int>(num_segments_) : 1},
                   sizeof(typename Kernel::Shared), args);
    if (!has_segments) return;
    constexpr int kHeadsPerBlock = CombineSegments::kThreads / kWarpSize;
    Launch<CombineSegments>(cuda_.stream(),
                            {.x = static_cast<int>(num_rows),
                             .y = static_cast<int>(DivideUp(args.num_heads, kHeadsPerBlock))},
                            0, args);
  }

 private:
  static int64_t NumTiles(const AttentionArgs& args) {
    const int64_t per_tile = args.tiling.queries_per_tile;
    if (args.query_starts == nullptr) return DivideUp(args.num_queries, per_tile);
    if (args.tiling.is_sequence_a_tile) return args.num_sequences;
    return args.num_queries / per_tile + args.num_sequences;
  }

  static int64_t NumRows(const AttentionArgs& args) {
    if (!args.tiling.is_sequence_a_tile) return args.num_queries;
    return int64_t{args.num_sequences} * args.tiling.queries_per_tile;
  }

  // Returns no memory if there is one segment or the scratch does not hold them all.
  SegmentResults TakeSegments(int64_t num_slots) const {
    const int64_t num_results = num_segments_ * num_slots;
    const int64_t bytes = num_results * (args_.head_dim + 2) * int64_t{sizeof(float)};
    if (num_segments_ <= 1 || bytes > static_cast<int64_t>(cuda_.attention_scratch.bytes())) {
      return {};
    }
    float* const memory = cuda_.attention_scratch.as<float>();
    return {.weighted = memory,
            .states = memory + num_results * args_.head_dim,
            .num_slots = num_slots};
  }

  CudaContext& cuda_;
  const AttentionArgs args_;
  const int64_t num_segments_;
};

template <typename Kernel>
void RunExact(Attention& attention, const AttentionArgs& args) {
  attention.RunWith<Kernel>(TilingOf(Kernel::kRows, args.num_heads / args.kv.num_heads));
}

template <bool kHasRelative>
void RunExactOf(Attention& attention, const AttentionArgs& args) {
  if (args.head_dim <= 64) return RunExact<ExactAttention<64, kHasRelative>>(attention, args);
  if (args.head_dim <= 128) return RunExact<ExactAttention<128, kHasRelative>>(attention, args);
  RunExact<ExactAttention<256, kHasRelative>>(attention, args);
}

// Sequences of few queries, such as those that decode, go to blocks of few rows.
template <int kDims, TileShape kMany, KvDtype kDtype>
void RunTiles(Attention& attention, const AttentionArgs& args) {
  using FewRows = TileAttention<kDims, kFewRows, kDtype>;
  using ManyRows = TileAttention<kDims, kMany, kDtype>;
  const int group = args.num_heads / args.kv.num_heads;
  Tiling few = TilingOf(FewRows::kRows, group);
  few.max_queries = few.queries_per_tile;
  few.is_sequence_a_tile = true;
  Tiling many = TilingOf(ManyRows::kRows, group);
  many.min_queries = few.max_queries + 1;

  const int most_queries = args.num_queries - args.num_sequences + 1;
  const int fewest_queries = args.num_sequences == 1 ? args.num_queries : 1;
  if (fewest_queries <= few.max_queries) attention.RunWith<FewRows>(few);
  if (most_queries >= many.min_queries) attention.RunWith<ManyRows>(many);
}

template <KvDtype kDtype>
void RunTilesOf(Attention& attention, const AttentionArgs& args) {
  if (args.head_dim <= 64) return RunTiles<64, kManyRows, kDtype>(attention, args);
  if (args.head_dim <= 128) return RunTiles<128, kManyRows, kDtype>(attention, args);
  RunTiles<256, kManyWideRows, kDtype>(attention, args);
}

KeyLayout LayoutOf(const KvCacheView& cache) {
  const int64_t row_bytes = cache.head_dim * KvDtypeBytes(cache.dtype);
  return {.keys = static_cast<const std::byte*>(cache.keys),
          .values = static_cast<const std::byte*>(cache.values),
          .dtype = cache.dtype,
          .is_aligned = row_bytes % 16 == 0 && cache.HeadBytes() % 16 == 0 &&
                        IsMultipleOf16(cache.keys) && IsMultipleOf16(cache.values),
          .num_heads = static_cast<int>(cache.num_kv_heads),
          .head_dim = static_cast<int>(cache.head_dim),
          .block_size = static_cast<int>(cache.block_size),
          .block_bytes = cache.BlockBytes(),
          .head_bytes = cache.HeadBytes(),
          .token_bytes = row_bytes,
          .scales_offset = cache.NumberBytes()};
}

// Rounds keys and values [rows, heads * head_dim] to bfloat16 [heads, rows, padded_dim], with zeros
// behind head_dim. A thread rounds eight numbers; block column 0 does the keys, 1 the values.
struct RoundKeys {
  struct Args {
    const float* keys;
    const float* values;
    int64_t stride;
    int num_rows;
    int num_heads;
    int head_dim;
    int padded_dim;
    std::byte* rounded_keys;
    std::byte* rounded_values;
  };
  static constexpr int kThreads = 256;

  SIMT_DEVICE void operator()(const Args& args) const {
    const bool is_keys = BlockIndex().y == 0;
    const int pieces = args.padded_dim / 8;
    const int64_t index = int64_t{BlockIndex().x} * kThreads + ThreadIndex();
    const int64_t row = index / (args.num_heads * pieces);
    if (row >= args.num_rows) return;
    const int rest = static_cast<int>(index - row * (args.num_heads * pieces));
    const int head = rest / pieces;
    const int dim = rest % pieces * 8;
    const float* source = (is_keys ? args.keys : args.values) + row * args.stride +
                          int64_t{head} * args.head_dim + dim;
    std::byte* target = (is_keys ? args.rounded_keys : args.rounded_values) +
                        ((int64_t{head} * args.num_rows + row) * args.padded_dim + dim) *
                            int64_t{sizeof(uint16_t)};
    const auto at = [&](int k) { return dim + k < args.head_dim ? source[k] : 0.0f; };
    *reinterpret_cast<Bytes16*>(target) = {{PackBf16(at(0), at(1)), PackBf16(at(2), at(3)),
                                           PackBf16(at(4), at(5)), PackBf16(at(6), at(7))}};
  }
};

// The operation for heads `first` .. first + count - 1.
AttentionArgs ArgsOf(const FullAttentionOp& op, int64_t first, int64_t count) {
  const int64_t head_dim = op.q.columns / op.num_heads;
  const int64_t column = first * head_dim;
  const bool has_relative = op.relative_q.data != nullptr;
  AttentionArgs args = {};
  args.q = op.q.data + column;
  args.q_stride = op.q.stride;
  args.out = op.out.data + column;
  args.out_stride = op.out.stride;
  args.num_queries = static_cast<int>(op.q.rows);
  args.num_heads = static_cast<int>(count);
  args.head_dim = static_cast<int>(head_dim);
  args.num_keys = static_cast<int>(op.keys.rows);
  args.log2_scale = op.scale * kLog2OfE;
  args.relative_q = has_relative ? op.relative_q.data + column : nullptr;
  args.relative_keys = has_relative ? op.relative_keys + column : nullptr;
  args.relative_stride = op.relative_stride;
  args.kv = {.keys = reinterpret_cast<const std::byte*>(op.keys.data + column),
             .values = reinterpret_cast<const std::byte*>(op.values.data + column),
             .dtype = KvDtype::kFloat32,
             .is_aligned = false,
             .num_heads = static_cast<int>(count),
             .head_dim = static_cast<int>(head_dim),
             .block_size = static_cast<int>(op.keys.rows),
             .block_bytes = 0,
             .head_bytes = head_dim * int64_t{sizeof(float)},
             .token_bytes = op.keys.stride * int64_t{sizeof(float)},
             .scales_offset = 0};
  return args;
}

void RunAllKeys(CudaContext& cuda, const AttentionArgs& args) {
  Attention attention(cuda, args, 0);
  const auto run = [&]<typename Kernel>() {
    attention.RunWith<Kernel>(TilingOf(Kernel::kRows, 1));
  };
  constexpr KvDtype kDtype = KvDtype::kBfloat16;
  if (args.relative_q != nullptr) {
    if (args.head_dim <= 64) {
      return run.template operator()<TileAttention<64, kRelativeKeys, kDtype>>();
    }
    return run.template operator()<TileAttention<128, kRelativeKeys, kDtype>>();
  }
  if (args.head_dim <= 64) return run.template operator()<TileAttention<64, kAllKeys, kDtype>>();
  if (args.head_dim <= 128) return run.template operator()<TileAttention<128, kAllKeys, kDtype>>();
  run.template operator()<TileAttention<256, kAllWideKeys, kDtype>>();
}

// What full attention reads in bfloat16.
struct RoundedBytes {
  explicit RoundedBytes(const FullAttentionOp& op)
      : padded_dim(DivideUp(op.q.columns / op.num_heads, 8) * 8),
        keys(op.keys.rows * padded_dim * int64_t{sizeof(uint16_t)}),
        distances(op.relative_q.data == nullptr
                      ? 0
                      : (op.q.rows + op.keys.rows - 1) * padded_dim * int64_t{sizeof(uint16_t)}) {}

  int64_t OfHead() const { return 2 * keys + distances; }

  int64_t padded_dim;
  int64_t keys;       // of a head, and as many of values
  int64_t distances;  // of a head
};

void Round(CudaContext& cuda, const RoundKeys::Args& args) {
  const int64_t num_pieces = int64_t{args.num_rows} * args.num_heads * (args.padded_dim / 8);
  Launch<RoundKeys>(cuda.stream(),
                    {.x = static_cast<int>(DivideUp(num_pieces, RoundKeys::kThreads)),
                     .y = args.values == nullptr ? 1 : 2},
                    0, args);
}

// Rounds what the heads of `args` read, and makes the arguments read that.
void RoundHeads(CudaContext& cuda, const FullAttentionOp& op, const RoundedBytes& bytes,
                AttentionArgs& args) {
  std::byte* const memory = cuda.attention_scratch.as<std::byte>();
  RoundKeys::Args round = {.keys = reinterpret_cast<const float*>(args.kv.keys),
                           .values = reinterpret_cast<const float*>(args.kv.values),
                           .stride = op.keys.stride,
                           .num_rows = args.num_keys,
                           .num_heads = args.num_heads,
                           .head_dim = args.head_dim,
                           .padded_dim = static_cast<int>(bytes.padded_dim),
                           .rounded_keys = memory,
                           .rounded_values = memory + args.num_heads * bytes.keys};
  Round(cuda, round);
  args.kv.keys = round.rounded_keys;
  args.kv.values = round.rounded_values;
  args.kv.dtype = KvDtype::kBfloat16;
  args.kv.is_aligned = true;
  args.kv.head_dim = round.padded_dim;
  args.kv.head_bytes = bytes.keys;
  args.kv.token_bytes = bytes.padded_dim * int64_t{sizeof(uint16_t)};
  if (args.relative_q == nullptr) return;
  round.keys = args.relative_keys - (op.q.rows - 1) * op.relative_stride;
  round.values = nullptr;
  round.stride = op.relative_stride;
  round.num_rows = static_cast<int>(op.q.rows + op.keys.rows - 1);
  round.rounded_keys = memory + 2 * args.num_heads * bytes.keys;
  Round(cuda, round);
  args.relative_rows = {.rows = round.rounded_keys, .head_bytes = bytes.distances};
}

// Heads whose rounded keys the scratch holds at a time.
int64_t HeadsAtOnce(CudaContext& cuda, const FullAttentionOp& op) {
  return static_cast<int64_t>(cuda.attention_scratch.bytes()) / RoundedBytes(op).OfHead();
}

// Rounds the keys and values of a few heads, runs these, and so on: a block reads all keys of its
// head, so each is read many times.
void RunRounded(CudaContext& cuda, const FullAttentionOp& op) {
  const int64_t heads_at_once = HeadsAtOnce(cuda, op);
  if (heads_at_once == 0) return RunAllKeys(cuda, ArgsOf(op, 0, op.num_heads));
  for (int64_t first = 0; first < op.num_heads; first += heads_at_once) {
    AttentionArgs args = ArgsOf(op, first, std::min(heads_at_once, op.num_heads - first));
    RoundHeads(cuda, op, RoundedBytes(op), args);
    RunAllKeys(cuda, args);
  }
}

// Distances of a head need room in shared memory beside its keys, and in bfloat16 are read from the
// scratch alone.
bool IsRounded(CudaContext& cuda, const FullAttentionOp& op) {
  if (op.product_dtype != Dtype::kBfloat16) return false;
  return op.relative_q.data == nullptr ||
         (op.q.columns / op.num_heads <= kMostRelativeDims && HeadsAtOnce(cuda, op) > 0);
}

void PagedAttention(OpsContext& context, const PagedAttentionOp& op) {
  const KvCacheView& cache = op.cache;
  CHECK(op.q.columns == op.num_heads * cache.head_dim && op.num_heads % cache.num_kv_heads == 0);
  CHECK(op.out.columns == op.q.columns && op.out.rows == op.q.rows);
  CHECK(cache.head_dim <= kMaxHeadDim);
  if (op.q.rows == 0) return;
  AttentionArgs args = {};
  args.q = op.q.data;
  args.q_stride = op.q.stride;
  args.out = op.out.data;
  args.out_stride = op.out.stride;
  args.num_queries = static_cast<int>(op.q.rows);
  args.num_heads = static_cast<int>(op.num_heads);
  args.head_dim = static_cast<int>(cache.head_dim);
  args.kv = LayoutOf(cache);
  args.num_sequences = static_cast<int>(op.num_sequences);
  args.query_starts = op.query_starts;
  args.context_lens = op.context_lens;
  args.block_tables = op.block_tables;
  args.max_blocks_per_sequence = op.max_blocks_per_sequence;
  args.log2_scale = op.scale * kLog2OfE;

  Attention attention(Cuda(context), args, op.max_blocks_per_sequence * cache.block_size);
  switch (cache.dtype) {
    case KvDtype::kFloat32:
      return RunExactOf<false>(attention, args);
    case KvDtype::kBfloat16:
      return RunTilesOf<KvDtype::kBfloat16>(attention, args);
    case KvDtype::kInt8:
      return RunTilesOf<KvDtype::kInt8>(attention, args);
  }
}

void FullAttention(OpsContext& context, const FullAttentionOp& op) {
  CHECK(op.num_heads > 0 && op.q.columns % op.num_heads == 0);
  CHECK(op.keys.columns == op.q.columns && op.values.columns == op.q.columns);
  CHECK(op.keys.stride == op.values.stride && op.keys.rows == op.values.rows);
  CHECK(op.relative_q.data == nullptr || op.relative_q.stride == op.q.stride);
  CHECK(op.q.columns / op.num_heads <= kMaxHeadDim);
  if (op.q.rows == 0 || op.keys.rows == 0) return;
  CudaContext& cuda = Cuda(context);
  if (IsRounded(cuda, op)) return RunRounded(cuda, op);

  const AttentionArgs args = ArgsOf(op, 0, op.num_heads);
  Attention attention(cuda, args, op.keys.rows);
  if (op.relative_q.data != nullptr) {
    RunExactOf<true>(attention, args);
  } else {
    RunExactOf<false>(attention, args);
  }
}

}  // namespace

void SetAttentionOps(Ops& ops) {
  ops.paged_attention = PagedAttention;
  ops.full_attention = FullAttention;
}

}  // namespace autoglm::cuda
