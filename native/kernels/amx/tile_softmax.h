#ifndef AUTOGLM_KERNELS_AMX_TILE_SOFTMAX_H_
#define AUTOGLM_KERNELS_AMX_TILE_SOFTMAX_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/amx/tiles.h"
#include "kernels/avx512/vector.h"
#include "kernels/simd/exponential.h"

namespace autoglm::kernels {
namespace {

// Keys that attention on tiles takes at a time, from position 0 on.
inline constexpr int64_t kTileKeys = 128;

// Steps of a product over the keys of a block, 32 each.
inline constexpr int64_t kKeySteps = kTileKeys / 32;

// Sixteen rows of queries, one a lane, with the state of their online softmax.
struct RowGroup {
  alignas(64) int32_t num_keys[kTileColumns];  // a row sees keys 0..num_keys - 1
  alignas(64) float max[kTileColumns];         // largest score so far, times scale * log2(e)
  alignas(64) float sum[kTileColumns];         // of 2^(score - max)
  int64_t fewest_keys;
  int64_t most_keys;
};

// What the scores of a block are multiplied with; the lists are null for rows without scales.
struct ScoreScales {
  float log2_scale;           // scale * log2(e), positive
  const float* key_scales;    // [kTileKeys]
  const float* value_scales;  // [kTileKeys]
};

// Returns 2^x for x <= 1, as precisely as probabilities need that are rounded to bfloat16.
inline __m512 RoughPowerOfTwo(__m512 x) { return PowerOfTwo<Avx512Vector, kRoughPower>(x); }

// Rounds two vectors of numbers that are not negative to pairs of bfloat16, to nearest.
inline __m512i ProbabilityPair(__m512 low, __m512 high) {
  const __m512i half = _mm512_set1_epi32(0x8000);
  const __m512i low_bits = _mm512_add_epi32(_mm512_castps_si512(low), half);
  const __m512i high_bits = _mm512_add_epi32(_mm512_castps_si512(high), half);
  constexpr int kSelect = 0xd8;  // third operand ? second : first
  return _mm512_ternarylogic_epi32(_mm512_srli_epi32(low_bits, 16), high_bits,
                                   _mm512_set1_epi32(static_cast<int>(0xffff0000u)), kSelect);
}

// The softmax of one block for one group: Begin brings the state to the block's largest scores, Advance
// turns scores into probabilities, a few keys at a time so that tiles can work between the calls, and
// End adds them up. kHasScales: whether keys and values have scales.
template <bool kHasScales>
class BlockSoftmax {
 public:
  // scores: [kTileKeys, 16 rows] of the keys that a row of the group sees.
  void Begin(RowGroup& group, int64_t key, const ScoreScales& scales,
             const float (*scores)[kTileColumns]) {
    group_ = &group;
    scales_ = scales;
    scores_ = scores;
    num_visible_ = _mm512_sub_epi32(_mm512_load_si512(group.num_keys),
                                    _mm512_set1_epi32(static_cast<int>(key)));
    const int64_t seen = group.most_keys - key;
    count_ = seen >= kTileKeys ? kTileKeys : (seen + 3) / 4 * 4;
    is_whole_ = group.fewest_keys - key >= kTileKeys;
    scale_ = _mm512_set1_ps(scales.log2_scale);
    const __m512 largest = is_whole_ ? Largest<false>() : Largest<true>();
    const __m512 old_max = _mm512_load_ps(group.max);
    max_ = _mm512_max_ps(_mm512_mul_ps(largest, scale_), old_max);
    decay_ = RoughPowerOfTwo(_mm512_sub_ps(old_max, max_));
    _mm512_store_ps(group.max, max_);
    for (__m512& sum : sums_) sum = _mm512_setzero_ps();
  }

  // Computes kKeys keys from `first` on, as tiles [16 pairs of keys, 16 rows].
  template <int kKeys>
  void Advance(int64_t first, TileBytes probabilities[kKeySteps]) {
    if (is_whole_) return Weigh<false, kKeys>(first, probabilities);
    Weigh<true, kKeys>(first, probabilities);
  }

  void End() const {
    const __m512 sum = _mm512_add_ps(_mm512_add_ps(sums_[0], sums_[1]),
                                     _mm512_add_ps(sums_[2], sums_[3]));
    _mm512_store_ps(group_->sum, _mm512_fmadd_ps(_mm512_load_ps(group_->sum), decay_, sum));
  }

  // What sums over earlier blocks must be multiplied with.
  __m512 decay() const { return decay_; }

 private:
  // Bit i is set if row i sees key j of the block.
  __mmask16 VisibleAt(int64_t j) const {
    return _mm512_cmplt_epi32_mask(_mm512_set1_epi32(static_cast<int>(j)), num_visible_);
  }

  __m512 ScoreAt(int64_t j) const {
    const __m512 score = _mm512_load_ps(scores_[j]);
    if constexpr (!kHasScales) return score;
    return _mm512_mul_ps(score, _mm512_set1_ps(scales_.key_scales[j]));
  }

  // Returns the largest score of each row; NaN is never the largest.
  template <bool kMasked>
  __m512 Largest() const {
    __m512 largest[4];
    for (__m512& each : largest) each = _mm512_set1_ps(-__builtin_inff());
    for (int64_t j = 0; j < count_; j += 4) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const __mmask16 visible = kMasked ? VisibleAt(j + i) : __mmask16{0xffff};
        largest[i] = _mm512_mask_max_ps(largest[i], visible, ScoreAt(j + i), largest[i]);
      }
    }
    return _mm512_max_ps(_mm512_max_ps(largest[0], largest[1]),
                         _mm512_max_ps(largest[2], largest[3]));
  }

  template <bool kMasked, int kKeys>
  void Weigh(int64_t first, TileBytes probabilities[kKeySteps]) {
    uint8_t* pairs = probabilities[first / 32].row[first % 32 / 2];
    if (kMasked && first >= count_) {
      for (int j = 0; j < kKeys; j += 2) {
        _mm512_store_si512(pairs + j / 2 * kTileRowBytes, _mm512_setzero_si512());
      }
      return;
    }
#pragma GCC unroll 8
    for (int j = 0; j < kKeys; j += 2) {
      const __m512 even = ProbabilityOf<kMasked>(first + j, sums_[j % 4]);
      const __m512 odd = ProbabilityOf<kMasked>(first + j + 1, sums_[j % 4 + 1]);
      _mm512_store_si512(pairs + j / 2 * kTileRowBytes, ProbabilityPair(even, odd));
    }
  }

  template <bool kMasked>
  __m512 ProbabilityOf(int64_t j, __m512& sum) const {
    const __mmask16 visible = kMasked ? VisibleAt(j) : __mmask16{0xffff};
    __m512 probability = RoughPowerOfTwo(_mm512_fmsub_ps(ScoreAt(j), scale_, max_));
    if constexpr (kMasked) probability = _mm512_maskz_mov_ps(visible, probability);
    sum = _mm512_add_ps(sum, probability);
    if constexpr (!kHasScales) return probability;
    // A zero stays one, whatever the scale of a value that the row does not see.
    return _mm512_maskz_mul_ps(visible, probability, _mm512_set1_ps(scales_.value_scales[j]));
  }

  RowGroup* group_ = nullptr;
  ScoreScales scales_ = {};
  const float (*scores_)[kTileColumns] = nullptr;
  __m512i num_visible_;
  __m512 scale_;
  __m512 max_;
  __m512 decay_;
  __m512 sums_[4];
  int64_t count_ = 0;     // keys with a score, a multiple of four
  bool is_whole_ = true;  // all rows see all keys
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AMX_TILE_SOFTMAX_H_
