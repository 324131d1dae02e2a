#ifndef AUTOGLM_KERNELS_CUDA_ATTENTION_EXACT_ATTENTION_CUH_
#define AUTOGLM_KERNELS_CUDA_ATTENTION_EXACT_ATTENTION_CUH_

#include <type_traits>

#include "kernels/cuda/attention/rows.cuh"
#include "kernels/cuda/attention/key_tiles.cuh"

namespace autoglm::cuda {

// Attention in float32, over float32 keys, with an optional term of relative position. A block has
// 16 rows, a warp four of them. Scores: a lane is a key. Values: a lane is every 32nd dim. Keys,
// values and distances take turns in one tile of shared memory.
template <int kDims, bool kHasRelative>
struct ExactAttention {
  using Args = AttentionArgs;
  static constexpr int kThreads = 128;
  static constexpr int kRows = 16;
  static constexpr int kWarpRows = kRows / (kThreads / kWarpSize);
  static constexpr int kKeys = kWarpSize;
  static constexpr int kDimsPerLane = kDims / kWarpSize;
  // The rows of a tile begin in different banks, at multiples of 16 bytes.
  static constexpr int kPitch = kDims + 4;
  static constexpr int kDistances = kKeys + kRows - 1;
  static constexpr int kTileRows = kHasRelative ? kDistances : kKeys;

  using Rows = float[kRows][kPitch];
  struct Nothing {};
  struct Shared {
    alignas(16) Rows queries;
    alignas(16) std::conditional_t<kHasRelative, Rows, Nothing> relative_queries;
    alignas(16) float tile[kTileRows][kPitch];
    KeyPlaces<KvDtype::kFloat32> places;
  };

  SIMT_DEVICE void operator()(const Args& args) const {
    const RowTile tile = FindTile(args);
    if (tile.queries.count == 0) return;
    const KeyRange keys = FindKeys(args, tile);
    if (keys.begin >= keys.end) return;
    Walk walk(args, tile, keys, *reinterpret_cast<Shared*>(SharedMemory()));
    walk.Run();
  }

 private:
  class Walk {
   public:
    SIMT_DEVICE Walk(const Args& args, const RowTile& tile, const KeyRange& keys, Shared& shared)
        : args_(args), tile_(tile), keys_(keys), shared_(shared) {
#pragma unroll
      for (int i = 0; i < kWarpRows; ++i) {
        visible_[i] = RowOf(args, tile, RowAt(i)).visible;
#pragma unroll
        for (int k = 0; k < kDimsPerLane; ++k) weighted_[i][k] = totals_[i][k] = 0.0f;
      }
    }

    SIMT_DEVICE void Run() {
      LoadQueries(args_.q, shared_.queries);
      if constexpr (kHasRelative) LoadQueries(args_.relative_q, shared_.relative_queries);
      for (int key = keys_.begin; key < keys_.end; key += kKeys) {
        if (key % kSegmentKeys == 0) FindPlaces(key);
        Take(key);
        if ((key + kKeys) % kSegmentKeys == 0 || key + kKeys >= keys_.end) EndSegment();
      }
      StoreRows();
    }

   private:
    SIMT_DEVICE int RowAt(int i) const { return WarpIndex() * kWarpRows + i; }

    // A barrier follows before the places are read.
    SIMT_DEVICE void FindPlaces(int first_key) {
      for (int i = ThreadIndex(); i < kSegmentKeys; i += kThreads) {
        const int key = first_key + i;
        shared_.places.Set(args_.kv, tile_, key, key < keys_.end);
      }
    }

    SIMT_DEVICE void LoadQueries(const float* q, Rows& rows) {
      for (int i = ThreadIndex(); i < kRows * kDims; i += kThreads) {
        const int dim = i % kDims;
        const TileRow row = RowOf(args_, tile_, i / kDims);
        const int64_t place = (tile_.queries.first + row.query) * args_.q_stride +
                              int64_t{row.head} * args_.head_dim + dim;
        rows[i / kDims][dim] = row.exists && dim < args_.head_dim ? q[place] : 0.0f;
      }
    }

    // Fills the tile; row_at(i) is row i, or null: zeros.
    template <typename RowAt>
    SIMT_DEVICE void LoadTile(int num_rows, const RowAt& row_at) {
      SyncThreads();
      for (int i = ThreadIndex(); i < num_rows * kDims; i += kThreads) {
        const int dim = i % kDims;
        const float* row = row_at(i / kDims);
        shared_.tile[i / kDims][dim] = row != nullptr && dim < args_.head_dim ? row[dim] : 0.0f;
      }
      SyncThreads();
    }

    SIMT_DEVICE void LoadKeys(const std::byte* plane, int first_key) {
      LoadTile(kKeys, [&](int i) {
        const int key = first_key + i;
        return key < keys_.end ? reinterpret_cast<const float*>(plane + shared_.places.RowOf(key))
                               : nullptr;
      });
    }

    // Loads the rows of the distances between the block's queries and these keys, smallest first.
    SIMT_DEVICE void LoadDistances(int first_key) {
      const int smallest = tile_.queries.first - first_key - (kKeys - 1);
      const float* zero = args_.relative_keys + int64_t{tile_.first_head} * args_.head_dim;
      LoadTile(kDistances, [&](int i) {
        const int distance = smallest + i;
        const bool exists = distance > -args_.num_keys && distance < args_.num_queries;
        return exists ? zero - distance * args_.relative_stride : nullptr;
      });
    }

    // Adds the products of this warp's rows with one row of the tile each.
    template <typename TileRowOf>
    SIMT_DEVICE void AddDots(const Rows& queries, const TileRowOf& tile_row_of,
                             float (&scores)[kWarpRows]) {
      using Four = Vec<float, 4>;
#pragma unroll 2
      for (int dim = 0; dim < kDims; dim += 4) {
#pragma unroll
        for (int i = 0; i < kWarpRows; ++i) {
          const Four k =
              *reinterpret_cast<const Four*>(&shared_.tile[tile_row_of(RowAt(i))][dim]);
          const Four q = *reinterpret_cast<const Four*>(&queries[RowAt(i)][dim]);
#pragma unroll
          for (int c = 0; c < 4; ++c) scores[i] = Fma(q[c], k[c], scores[i]);
        }
      }
    }

    SIMT_DEVICE void Take(int first_key) {
      const int lane = LaneIndex();
      float scores[kWarpRows];
#pragma unroll
      for (int i = 0; i < kWarpRows; ++i) scores[i] = 0.0f;
      if constexpr (kHasRelative) {
        LoadDistances(first_key);
        AddDots(shared_.relative_queries, [&](int row) { return row - lane + kKeys - 1; }, scores);
      }
      LoadKeys(args_.kv.keys, first_key);
      AddDots(shared_.queries, [&](int) { return lane; }, scores);
#pragma unroll
      for (int i = 0; i < kWarpRows; ++i) Weigh(i, first_key + lane, scores[i]);
      LoadKeys(args_.kv.values, first_key);
      AddValues(first_key, scores);
    }

    // Turns a score into a probability relative to the largest score of the row so far.
    SIMT_DEVICE void Weigh(int i, int key, float& score) {
      const float raw = key < visible_[i] ? score : kNegativeInfinity;
      float largest = LargerOf(raw, kNegativeInfinity);
#pragma unroll
      for (int mask = kWarpSize / 2; mask > 0; mask /= 2) {
        largest = LargerOf(ShuffleXor(largest, mask), largest);
      }
      RowState& state = state_[i];
      const float max = LargerOf(largest * args_.log2_scale, state.max);
      const float decay = Decay(state.max, max);
      state.max = max;
      score = Exp2(Fma(raw, args_.log2_scale, max == kNegativeInfinity ? 0.0f : -max));
      state.sum = Fma(state.sum, decay, score);
#pragma unroll
      for (int k = 0; k < kDimsPerLane; ++k) weighted_[i][k] *= decay;
    }

    SIMT_DEVICE void AddValues(int first_key, const float (&probabilities)[kWarpRows]) {
      for (int j = 0; j < kKeys; ++j) {
        float p[kWarpRows];
#pragma unroll
        for (int i = 0; i < kWarpRows; ++i) p[i] = ShuffleFrom(probabilities[i], j);
#pragma unroll
        for (int k = 0; k < kDimsPerLane; ++k) {
          const float value = shared_.tile[j][LaneIndex() + k * kWarpSize];
#pragma unroll
          for (int i = 0; i < kWarpRows; ++i) {
            // A row takes nothing from a value that it does not see, which may be NaN.
            if (first_key + j < visible_[i]) weighted_[i][k] = Fma(p[i], value, weighted_[i][k]);
          }
        }
      }
    }

    SIMT_DEVICE void EndSegment() {
#pragma unroll
      for (int i = 0; i < kWarpRows; ++i) {
        RowState& state = state_[i];
#pragma unroll
        for (int mask = kWarpSize / 2; mask > 0; mask /= 2) {
          state.sum += ShuffleXor(state.sum, mask);
        }
        const Merge merge = MergeStates(state, total_[i]);
        state = RowState();
#pragma unroll
        for (int k = 0; k < kDimsPerLane; ++k) {
          totals_[i][k] = merge(totals_[i][k], weighted_[i][k]);
          weighted_[i][k] = 0.0f;
        }
      }
    }

    SIMT_DEVICE void StoreRows() {
#pragma unroll
      for (int i = 0; i < kWarpRows; ++i) {
        const TileRow row = RowOf(args_, tile_, RowAt(i));
        if (!row.exists) continue;
        const RowTarget target = TargetOf(args_, tile_, row, total_[i], LaneIndex() == 0);
#pragma unroll
        for (int k = 0; k < kDimsPerLane; ++k) {
          const int dim = LaneIndex() + k * kWarpSize;
          if (dim < args_.head_dim) target.row[dim] = totals_[i][k] * target.factor;
        }
      }
    }

    const Args& args_;
    const RowTile& tile_;
    const KeyRange& keys_;
    Shared& shared_;
    int visible_[kWarpRows];
    RowState state_[kWarpRows];  // of the segment; sums are those of this lane's keys
    RowState total_[kWarpRows];
    float weighted_[kWarpRows][kDimsPerLane];
    float totals_[kWarpRows][kDimsPerLane];
  };
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_ATTENTION_EXACT_ATTENTION_CUH_
