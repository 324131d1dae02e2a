#ifndef AUTOGLM_KERNELS_CUDA_ATTENTION_TILE_ATTENTION_CUH_
#define AUTOGLM_KERNELS_CUDA_ATTENTION_TILE_ATTENTION_CUH_

#include <type_traits>

#include "kernels/cuda/attention/rows.cuh"
#include "kernels/cuda/attention/key_tiles.cuh"
#include "kernels/cuda/attention/relative_tiles.cuh"

namespace autoglm::cuda {

// How the rows of a block are divided among its warps. A warp has num_row_tiles times 16 rows.
// num_column_warps warps share their rows: each multiplies a part of a tile's keys and then, with
// the probabilities of all, a part of the values' dims. So few rows keep as many warps busy as many
// do, and every number is the sum of the same products in the same order: a row has the same bits
// in blocks of any shape.
struct TileShape {
  int num_row_tiles;
  int num_row_warps;
  int num_column_warps;
  int num_stages;     // tiles of keys, and of values, that are on their way
  // False: every row sees all keys, as one segment; the registers of totals are free then.
  bool has_segments;
  bool has_relative = false;  // adds a term of relative position
};

inline constexpr TileShape kFewRows = {1, 1, 4, 2, true};
inline constexpr TileShape kManyRows = {1, 4, 1, 1, true};
inline constexpr TileShape kManyWideRows = {1, 2, 2, 1, true};
inline constexpr TileShape kAllKeys = {2, 4, 1, 2, false};
inline constexpr TileShape kAllWideKeys = {1, 2, 2, 2, false};
inline constexpr TileShape kRelativeKeys = {1, 4, 1, 1, false, true};

// Attention on tensor cores, as in FlashAttention-2 (https://arxiv.org/abs/2307.08691). Products
// take bfloat16 and add in float32, the softmax is in float32: scores [rows, keys] = q * keys, then
// weighted [rows, dims] += probabilities * values.
//
// A thread holds rows lane / 4 and that + 8 of each 16 of its warp, as fragments of products do:
// the numbers 2 * i and 2 * i + 1 of four are of row i.
template <int kDims, TileShape kShape, KvDtype kDtype>
struct TileAttention {
  using Args = AttentionArgs;
  static constexpr int kRowTiles = kShape.num_row_tiles;
  static constexpr int kColumnWarps = kShape.num_column_warps;
  static constexpr int kWarps = kShape.num_row_warps * kColumnWarps;
  static constexpr int kThreads = kWarps * kWarpSize;
  static constexpr int kMinBlocks = 2;
  static constexpr int kRows = 16 * kRowTiles * kShape.num_row_warps;
  static constexpr int kStages = kShape.num_stages;
  // Of a tile: as many as registers and shared memory hold. All shapes with segments must agree.
  static constexpr int kKeys = kDims > (kDtype == KvDtype::kInt8 ? 64 : 128) || kRowTiles > 1 ||
                                       kShape.has_relative
                                   ? 32
                                   : 64;
  static constexpr int kAllColumns = kKeys / 8;
  static constexpr int kColumns = kAllColumns / kColumnWarps;   // eights of keys of a warp
  static constexpr int kDimColumns = kDims / 8 / kColumnWarps;  // eights of dims of a warp
  static constexpr bool kIsShared = kColumnWarps > 1;
  static_assert(kColumns > 0 && kDimColumns % 2 == 0 && kSegmentKeys % kKeys == 0);
  static_assert(kStages * kKeys <= kSegmentKeys, "places are found one segment ahead");
  static_assert(kRowTiles == 1 || !kIsShared);
  static_assert(!kShape.has_relative || (kRowTiles == 1 && !kIsShared && kStages == 1));

  // What warps that share rows tell each other about a tile.
  struct Exchange {
    float largest[kColumnWarps][kRows];
    float sums[kAllColumns][kRows][4];  // by lane % 4
    HalfTile<kRows, kKeys> probabilities;
  };
  using Relative = RelativeTiles<kRows, kKeys, kDims, kThreads>;
  struct Nothing {};

  struct Shared {
    HalfTile<kRows, kDims> queries;
    KeyTiles<kKeys, kDims, kDtype, kStages> keys;
    KeyTiles<kKeys, kDims, kDtype, kStages> values;
    KeyPlaces<kDtype> places;
    uint32_t lost[kKeys];  // 1: the value is not finite
    std::conditional_t<kIsShared, Exchange, Nothing> exchange;
    std::conditional_t<kShape.has_relative, Relative, Nothing> relative;
  };

  SIMT_DEVICE void operator()(const Args& args) const {
    RowTile tile = FindTile(args);
    if (tile.queries.count == 0) return;
    const KeyRange keys = FindKeys(args, tile);
    if (keys.begin >= keys.end) return;
    if constexpr (!kShape.has_segments) tile.block_table = nullptr;
    Walk walk(args, tile, keys, *reinterpret_cast<Shared*>(SharedMemory()));
    walk.Run();
  }

 private:
  using Numbers = float[kRowTiles][kDimColumns][4];  // of this thread's rows and dims
  struct Totals {
    RowState states[kRowTiles][2];
    Numbers weighted;
  };

  class Walk {
   public:
    SIMT_DEVICE Walk(const Args& args, const RowTile& tile, const KeyRange& keys, Shared& shared)
        : args_(args),
          tile_(tile),
          keys_(keys),
          shared_(shared),
          first_row_(WarpIndex() / kColumnWarps * kRowTiles * 16),
          column_warp_(WarpIndex() % kColumnWarps),
          loader_{args.kv, tile, keys.end, shared.places} {
      if constexpr (kShape.has_segments) {
        ForRows([&](int t, int i) { visible_[t][i] = RowOf(args, tile, RowAt(t, i)).visible; });
      }
      Clear(weighted_);
      if constexpr (kShape.has_segments) Clear(totals_.weighted);
    }

    SIMT_DEVICE void Run() {
      const int first = keys_.begin / kKeys;
      const int end = (keys_.end + kKeys - 1) / kKeys;
      LoadQueries(args_.q, shared_.queries);
      if constexpr (kShape.has_relative) LoadQueries(args_.relative_q, shared_.relative.queries);
      loader_.template FindPlaces<kThreads>(keys_.begin / kSegmentKeys);
      SyncThreads();
#pragma unroll
      for (int stage = 0; stage < kStages; ++stage) {
        FetchKeys(first + stage);
        if (stage + 1 < kStages) Fetch(shared_.values, args_.kv.values, first + stage);
      }
      for (int tile = first; tile < end; ++tile) {
        Take(tile);
        if constexpr (kShape.has_segments) {
          if ((tile + 1) * kKeys % kSegmentKeys == 0 || tile + 1 == end) EndSegment();
        }
      }
      CopyAsyncWait<0>();
      if constexpr (kShape.has_segments) {
        StoreRows(totals_.states, totals_.weighted);
      } else {
        ForRows([&](int t, int i) { state_[t][i].sum = SumOfRow(state_[t][i].sum); });
        StoreRows(state_, weighted_);
      }
    }

   private:
    // Copies are fetched in the order keys, values, keys, …: so many are under way behind a tile
    // that is waited for.
    static constexpr int kBehind = 2 * (kStages - 1);

    template <typename Body>
    static SIMT_DEVICE void ForRows(const Body& body) {
#pragma unroll
      for (int t = 0; t < kRowTiles; ++t) {
#pragma unroll
        for (int i = 0; i < 2; ++i) body(t, i);
      }
    }

    static SIMT_DEVICE void Clear(Numbers& numbers) {
#pragma unroll
      for (int j = 0; j < kDimColumns; ++j) {
        ForRows([&](int t, int i) { numbers[t][j][2 * i] = numbers[t][j][2 * i + 1] = 0.0f; });
      }
    }

    SIMT_DEVICE int RowAt(int t, int i) const {
      return first_row_ + t * 16 + LaneIndex() / 4 + 8 * i;
    }

    SIMT_DEVICE int Visible(int t, int i) const {
      return kShape.has_segments ? visible_[t][i] : keys_.most_visible;
    }

    template <typename Tiles>
    SIMT_DEVICE void Fetch(Tiles& tiles, const std::byte* plane, int tile) {
      tiles.template Fetch<kThreads>(loader_, plane, tile);
    }

    // Distances are of the same group of copies as the keys.
    SIMT_DEVICE void FetchKeys(int tile) {
      if constexpr (kShape.has_relative) {
        if (tile * kKeys < keys_.end) shared_.relative.Fetch(args_, tile_, tile * kKeys);
      }
      Fetch(shared_.keys, args_.kv.keys, tile);
    }

    SIMT_DEVICE void LoadQueries(const float* queries, HalfTile<kRows, kDims>& tile) {
      constexpr int kPieces = kDims / 8;
      for (int i = ThreadIndex(); i < kRows * kPieces; i += kThreads) {
        const int row = i / kPieces;
        const int dim = i % kPieces * 8;
        const TileRow found = RowOf(args_, tile_, row);
        const float* q = queries + (tile_.queries.first + found.query) * args_.q_stride +
                         int64_t{found.head} * args_.head_dim + dim;
        const auto at = [&](int k) {
          return found.exists && dim + k < args_.head_dim ? q[k] : 0.0f;
        };
        *tile.Piece(row, i % kPieces) = {{PackBf16(at(0), at(1)), PackBf16(at(2), at(3)),
                                                     PackBf16(at(4), at(5)),
                                                     PackBf16(at(6), at(7))}};
      }
    }

    SIMT_DEVICE void Take(int tile) {
      const int first_key = tile * kKeys;
      CopyAsyncWait<kBehind>();
      SyncThreads();
      // All threads are done with the tile before: its values' place is free, and the places of the
      // segment before.
      shared_.keys.template Place<kThreads>(tile);
      if (first_key % kSegmentKeys == 0 && first_key + kSegmentKeys < keys_.end) {
        loader_.template FindPlaces<kThreads>(first_key / kSegmentKeys + 1);
      }
      Fetch(shared_.values, args_.kv.values, tile + kStages - 1);
      uint32_t probabilities[kRowTiles][kColumns][2];
      {
        float scores[kRowTiles][kColumns][4];
        Score(tile, scores);
        if constexpr (kShape.has_relative) shared_.relative.AddTo(scores[0], first_row_);
        Weigh(first_key, scores, probabilities);
      }
      CopyAsyncWait<kBehind>();
      SyncThreads();
      FetchKeys(tile + kStages);
      shared_.values.template Place<kThreads>(tile);
      if constexpr (kIsShared) {
        AddSums([&](int t, int i, int column) {
          return shared_.exchange.sums[column][RowAt(t, i)][LaneIndex() % 4];
        });
      }
      if (kDtype != KvDtype::kInt8 && kShape.has_segments &&
          first_key + kKeys > keys_.fewest_visible &&
          keys_.fewest_visible < keys_.most_visible) {
        LoseValues(tile);
      }
      AddValues(tile, probabilities);
    }

    // Sets the scores of this warp's keys, without any scale.
    SIMT_DEVICE void Score(int tile, float (&scores)[kRowTiles][kColumns][4]) {
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        ForRows([&](int t, int i) { scores[t][j][2 * i] = scores[t][j][2 * i + 1] = 0.0f; });
      }
      const auto& keys = shared_.keys.At(tile);
      const int lane = Opaque(LaneIndex());
      const int first_key = column_warp_ * kColumns * 8 + lane % 8;
#pragma unroll
      for (int piece = 0; piece < kDims / 8; piece += 2) {
        Fragment<4> q[kRowTiles];
#pragma unroll
        for (int t = 0; t < kRowTiles; ++t) {
          q[t] = LoadMatrixX4(
              shared_.queries.Piece(first_row_ + t * 16 + lane % 16, piece + lane / 16));
        }
        if constexpr (kColumns == 1) {
          const Fragment<2> b = LoadMatrixX2(keys.Piece(first_key, piece + lane / 8 % 2));
          MmaBf16(scores[0][0], q[0].word, b.word);
        } else {
#pragma unroll
          for (int j = 0; j < kColumns; j += 2) {
            const Fragment<4> b = LoadMatrixX4(
                keys.Piece(first_key + 8 * j + lane / 16 * 8, piece + lane / 8 % 2));
#pragma unroll
            for (int t = 0; t < kRowTiles; ++t) {
              MmaBf16(scores[t][j], q[t].word, {b[0], b[1]});
              MmaBf16(scores[t][j + 1], q[t].word, {b[2], b[3]});
            }
          }
        }
      }
    }

    // Turns the scores of this warp's keys into probabilities relative to the largest score so far:
    // adds them, and sets the factors of the values.
    SIMT_DEVICE void Weigh(int first_key, float (&scores)[kRowTiles][kColumns][4],
                           uint32_t (&factors)[kRowTiles][kColumns][2]) {
      const int first = first_key + column_warp_ * kColumns * 8 + LaneIndex() % 4 * 2;
      const bool is_whole = first_key + kKeys <= keys_.fewest_visible;
      float shift[kRowTiles][2];
      ForRows([&](int t, int i) {
        float largest = kNegativeInfinity;
#pragma unroll
        for (int j = 0; j < kColumns; ++j) {
#pragma unroll
          for (int k = 0; k < 2; ++k) {
            float& score = scores[t][j][2 * i + k];
            const int key = first + 8 * j + k;
            if (kDtype == KvDtype::kInt8) score *= shared_.places.KeyScale(key);
            if (!is_whole && key >= Visible(t, i)) score = kNegativeInfinity;
            largest = LargerOf(score, largest);
          }
        }
        shift[t][i] = LargestOfRow(largest);
      });
      if constexpr (kIsShared) ShareLargest(shift);
      ForRows([&](int t, int i) {
        RowState& state = state_[t][i];
        const float max = LargerOf(shift[t][i] * args_.log2_scale, state.max);
        decay_[t][i] = Decay(state.max, max);
        state.max = max;
        shift[t][i] = max == kNegativeInfinity ? 0.0f : max;
#pragma unroll
        for (int j = 0; j < kColumns; ++j) {
          float pair[2];
#pragma unroll
          for (int k = 0; k < 2; ++k) {
            float& score = scores[t][j][2 * i + k];
            score = pair[k] = Exp2(Fma(score, args_.log2_scale, -shift[t][i]));
            if (kDtype == KvDtype::kInt8) {
              // A zero stays one, whatever the scale of a value that the row does not see.
              const int key = first + 8 * j + k;
              const bool is_visible = is_whole || key < Visible(t, i);
              pair[k] = is_visible ? pair[k] * shared_.places.ValueScale(key) : 0.0f;
            }
          }
          factors[t][j][i] = PackBf16(pair[0], pair[1]);
        }
      });
      if constexpr (kIsShared) {
        ShareProbabilities(scores, factors);
      } else {
        AddSums([&](int t, int i, int column) {
          return scores[t][column][2 * i] + scores[t][column][2 * i + 1];
        });
      }
    }

    // Four threads hold a row.
    static SIMT_DEVICE float LargestOfRow(float value) {
      value = LargerOf(ShuffleXor(value, 1), value);
      return LargerOf(ShuffleXor(value, 2), value);
    }
    static SIMT_DEVICE float SumOfRow(float value) {
      value += ShuffleXor(value, 1);
      return value + ShuffleXor(value, 2);
    }

    // Makes each number the largest of all warps that share the row.
    SIMT_DEVICE void ShareLargest(float (&largest)[kRowTiles][2]) {
      ForRows([&](int t, int i) {
        if (LaneIndex() % 4 == 0) {
          shared_.exchange.largest[column_warp_][RowAt(t, i)] = largest[t][i];
        }
      });
      SyncThreads();
      ForRows([&](int t, int i) {
#pragma unroll
        for (int warp = 0; warp < kColumnWarps; ++warp) {
          largest[t][i] = LargerOf(shared_.exchange.largest[warp][RowAt(t, i)], largest[t][i]);
        }
      });
    }

    SIMT_DEVICE void ShareProbabilities(const float (&scores)[kRowTiles][kColumns][4],
                                        const uint32_t (&factors)[kRowTiles][kColumns][2]) {
      const int part = LaneIndex() % 4;
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        const int column = column_warp_ * kColumns + j;
        ForRows([&](int t, int i) {
          shared_.exchange.sums[column][RowAt(t, i)][part] =
              scores[t][j][2 * i] + scores[t][j][2 * i + 1];
          shared_.exchange.probabilities.StoreWord(RowAt(t, i), column, part, factors[t][j][i]);
        });
      }
    }

    // Adds the tile's probabilities. Each of the four threads of a row adds pairs of its own:
    // pair_at(t, i, column) is the sum of one.
    template <typename PairAt>
    SIMT_DEVICE void AddSums(const PairAt& pair_at) {
      ForRows([&](int t, int i) {
        float sum = state_[t][i].sum * decay_[t][i];
#pragma unroll
        for (int column = 0; column < kAllColumns; ++column) sum += pair_at(t, i, column);
        state_[t][i].sum = sum;
      });
    }

    // Takes values that are not finite out of the tile, since a product with the zero of a row that
    // must not see them would spread them. The sums of rows that see them become NaN.
    SIMT_DEVICE void LoseValues(int tile) {
      auto& values = shared_.values.At(tile);
      const int piece = LaneIndex();
      for (int key = WarpIndex(); key < kKeys; key += kWarps) {
        const bool is_lost = AnyInWarp(piece < kDims / 8 && values.HasNonFinite(key, piece));
        if (is_lost && piece < kDims / 8) *values.Piece(key, piece) = {{0, 0, 0, 0}};
        if (piece == 0) shared_.lost[key] = is_lost ? 1 : 0;
      }
      SyncThreads();
      for (int key = 0; key < kKeys; ++key) {
        if (shared_.lost[key] == 0) continue;
        ForRows([&](int t, int i) {
          if (tile * kKeys + key < Visible(t, i)) state_[t][i].sum = __builtin_nanf("");
        });
      }
    }

    SIMT_DEVICE void AddValues(int tile, const uint32_t (&factors)[kRowTiles][kColumns][2]) {
#pragma unroll
      for (int j = 0; j < kDimColumns; ++j) {
        ForRows([&](int t, int i) {
          weighted_[t][j][2 * i] *= decay_[t][i];
          weighted_[t][j][2 * i + 1] *= decay_[t][i];
        });
      }
      const auto& values = shared_.values.At(tile);
      const int lane = Opaque(LaneIndex());
#pragma unroll
      for (int step = 0; step < kKeys / 16; ++step) {
        Fragment<4> p[kRowTiles];
#pragma unroll
        for (int t = 0; t < kRowTiles; ++t) {
          if constexpr (kIsShared) {
            p[t] = LoadMatrixX4(shared_.exchange.probabilities.Piece(first_row_ + lane % 16,
                                                                     2 * step + lane / 16));
          } else {
            p[t] = {factors[t][2 * step][0], factors[t][2 * step][1], factors[t][2 * step + 1][0],
                    factors[t][2 * step + 1][1]};
          }
        }
#pragma unroll
        for (int j = 0; j < kDimColumns; j += 2) {
          const Fragment<4> b = LoadMatrixX4Transposed(
              values.Piece(step * 16 + lane % 16, column_warp_ * kDimColumns + j + lane / 16));
#pragma unroll
          for (int t = 0; t < kRowTiles; ++t) {
            MmaBf16(weighted_[t][j], p[t].word, {b[0], b[1]});
            MmaBf16(weighted_[t][j + 1], p[t].word, {b[2], b[3]});
          }
        }
      }
    }

    SIMT_DEVICE void EndSegment() {
      ForRows([&](int t, int i) {
        RowState& state = state_[t][i];
        state.sum = SumOfRow(state.sum);
        const Merge merge = MergeStates(state, totals_.states[t][i]);
        state = RowState();
#pragma unroll
        for (int j = 0; j < kDimColumns; ++j) {
#pragma unroll
          for (int k = 2 * i; k < 2 * i + 2; ++k) {
            totals_.weighted[t][j][k] = merge(totals_.weighted[t][j][k], weighted_[t][j][k]);
            weighted_[t][j][k] = 0.0f;
          }
        }
      });
    }

    SIMT_DEVICE void StoreRows(const RowState (&states)[kRowTiles][2], const Numbers& weighted) {
      ForRows([&](int t, int i) {
        const TileRow row = RowOf(args_, tile_, RowAt(t, i));
        if (!row.exists) return;
        const bool stores_state = column_warp_ == 0 && LaneIndex() % 4 == 0;
        const RowTarget target = TargetOf(args_, tile_, row, states[t][i], stores_state);
#pragma unroll
        for (int j = 0; j < kDimColumns; ++j) {
          const int dim = (column_warp_ * kDimColumns + j) * 8 + LaneIndex() % 4 * 2;
          if (dim < args_.head_dim) target.row[dim] = weighted[t][j][2 * i] * target.factor;
          if (dim + 1 < args_.head_dim) {
            target.row[dim + 1] = weighted[t][j][2 * i + 1] * target.factor;
          }
        }
      });
    }

    const Args& args_;
    const RowTile& tile_;
    const KeyRange& keys_;
    Shared& shared_;
    const int first_row_;
    const int column_warp_;
    const KeyLoader<kDtype> loader_;
    int visible_[kRowTiles][2];
    float decay_[kRowTiles][2];
    RowState state_[kRowTiles][2];  // of the segment; sums are those of this thread
    Numbers weighted_;
    std::conditional_t<kShape.has_segments, Totals, Nothing> totals_;
  };
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_ATTENTION_TILE_ATTENTION_CUH_
