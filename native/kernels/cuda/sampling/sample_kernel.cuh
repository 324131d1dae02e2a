#ifndef AUTOGLM_KERNELS_CUDA_SAMPLING_SAMPLE_KERNEL_CUH_
#define AUTOGLM_KERNELS_CUDA_SAMPLING_SAMPLE_KERNEL_CUH_

#include "kernels/cuda/sampling/candidates.cuh"
#include "kernels/cuda/sampling/request.h"

namespace autoglm::cuda {

// Chooses or scores the token of a row, a block a row, as kernels/sampling/ does.
struct SampleLogits {
  struct Args {
    float* logits;  // [rows, num_columns], overwritten
    int num_columns;
    const SampleRow* rows;
    const uint32_t* words;  // what the rows' lists and masks are offsets of
    float* saved;           // for each id of a list, the logit before
    SampleResult* results;
  };
  static constexpr int kThreads = kSampleThreads;

  SIMT_DEVICE void operator()(const Args& args) const {
    Row(args, args.rows[BlockIndex().x], *reinterpret_cast<SampleShared*>(SharedMemory())).Run();
  }

 private:
  class Row {
   public:
    SIMT_DEVICE Row(const Args& args, const SampleRow& row, SampleShared& shared)
        : args_(args),
          row_(row),
          shared_(shared),
          logits_(args.logits + int64_t{row.row} * args.num_columns),
          result_(args.results[BlockIndex().x]) {}

    SIMT_DEVICE void Run() {
      // All of a result is copied to the host.
      uint32_t* const words = reinterpret_cast<uint32_t*>(&result_);
      constexpr int kWords = sizeof(SampleResult) / sizeof(uint32_t);
      for (int i = ThreadIndex(); i < kWords; i += kThreads) words[i] = 0;
      SyncThreads();
      const bool has_score = row_.num_top >= 0;
      // Scores are those of the raw logits.
      if (has_score) SumRaw();
      SampleOutcome outcome = SampleOutcome::kChosen;
      uint32_t token_id = row_.target_token;
      if (row_.chooses != 0) {
        Adjust();
        outcome = Choose(token_id);
        if (has_score) Restore();
      }
      if (ThreadIndex() == 0) {
        result_.outcome = outcome;
        result_.token_id = token_id;
      }
      if (has_score && outcome == SampleOutcome::kChosen) Score(token_id);
    }

   private:
    SIMT_DEVICE LogitRow Raw() const { return {logits_, nullptr}; }
    SIMT_DEVICE LogitRow Allowed() const {
      return {logits_, row_.mask == kNoMask ? nullptr : args_.words + row_.mask};
    }

    struct Best {
      uint64_t key;      // 0: no number is above minus infinity
      bool has_nan;
    };
    // Returns the largest logit and the lowest id that has it; NaN is never the largest.
    SIMT_DEVICE Best FindBest(const LogitRow& row, int count) {
      uint64_t best[1] = {0};
      uint64_t num_nan[1] = {0};
      row.ForEach(0, count, [&](int id, float value) {
        if (value != value) num_nan[0] = 1;
        if (!(value > kMinusInfinity)) return;
        const uint64_t key = uint64_t{OrderedBits(value)} << 32 | ~static_cast<uint32_t>(id);
        best[0] = key > best[0] ? key : best[0];
      });
      CombineAll<Maximum>(shared_, best);
      CombineAll<Maximum>(shared_, num_nan);
      return {best[0], num_nan[0] != 0};
    }
    static SIMT_DEVICE float ValueOf(uint64_t key) {
      return FromOrderedBits(static_cast<uint32_t>(key >> 32));
    }
    static SIMT_DEVICE bool IsInfinite(float value) { return value - value != 0.0f; }

    SIMT_DEVICE void SumRaw() {
      const Best best = FindBest(Raw(), args_.num_columns);
      max_ = best.key == 0 ? kMinusInfinity : ValueOf(best.key);
      if (best.key == 0 || best.has_nan || IsInfinite(max_)) {
        // No logit less this is a log-probability.
        log_sum_ = __builtin_nanf("");
        return;
      }
      uint64_t sum[1] = {0};
      Raw().ForEach(0, args_.num_columns, [&](int, float value) {
        sum[0] += IntegerOf(ExpOfNegative(value - max_));
      });
      CombineAll<Plus>(shared_, sum);
      log_sum_ = max_ + Log(static_cast<float>(sum[0]) / kUnitWeight);
    }

    // Sets the logits of a list's ids to value_of(logit, i). They are kept, to be restored.
    template <typename ValueOf>
    SIMT_DEVICE void ApplyList(const SampleList& list, const ValueOf& value_of) {
      const auto apply = [&](uint32_t i) {
        float& logit = logits_[args_.words[list.offset + i]];
        args_.saved[list.offset + i] = logit;
        logit = value_of(logit, i);
      };
      if (list.has_duplicates == 0) {
        for (uint32_t i = static_cast<uint32_t>(ThreadIndex()); i < list.count;
             i += kThreads) {
          apply(i);
        }
      } else if (ThreadIndex() == 0) {
        for (uint32_t i = 0; i < list.count; ++i) apply(i);
      }
      SyncThreads();
    }
    SIMT_DEVICE void RestoreList(const SampleList& list) {
      const auto restore = [&](uint32_t i) {
        logits_[args_.words[list.offset + i]] = args_.saved[list.offset + i];
      };
      if (list.has_duplicates == 0) {
        for (uint32_t i = static_cast<uint32_t>(ThreadIndex()); i < list.count;
             i += kThreads) {
          restore(i);
        }
      } else if (ThreadIndex() == 0) {
        for (uint32_t i = list.count; i > 0; --i) restore(i - 1);
      }
      SyncThreads();
    }

    // Forbidden ids are those that the mask does not allow, whatever their logits become.
    SIMT_DEVICE void Adjust() {
      ApplyList(row_.bias, [&](float logit, uint32_t i) {
        return logit + std::bit_cast<float>(args_.words[row_.bias.offset + row_.bias.count + i]);
      });
      const float penalty = row_.repetition_penalty;
      ApplyList(row_.seen, [&](float logit, uint32_t) {
        return logit > 0.0f ? logit / penalty : logit * penalty;
      });
      ApplyList(row_.generated, [&](float logit, uint32_t i) {
        const uint32_t number =
            args_.words[row_.generated.offset + row_.generated.count + i];
        const float count = static_cast<float>(number);
        return logit - (row_.frequency_penalty * count +
                        (number > 0 ? row_.presence_penalty : 0.0f));
      });
    }
    SIMT_DEVICE void Restore() {
      RestoreList(row_.generated);
      RestoreList(row_.seen);
      RestoreList(row_.bias);
    }

    SIMT_DEVICE SampleOutcome Choose(uint32_t& token_id) {
      const LogitRow row = Allowed();
      const Best best = FindBest(row, static_cast<int>(row_.limit));
      if (best.key == 0 && row_.mask != kNoMask && !best.has_nan) {
        return SampleOutcome::kAllForbidden;
      }
      if (best.key == 0 || IsInfinite(ValueOf(best.key))) return SampleOutcome::kNotFinite;
      token_id = ~static_cast<uint32_t>(best.key);
      if (row_.inverse_temperature > 0.0f) Draw(row, ValueOf(best.key), token_id);
      return SampleOutcome::kChosen;
    }

    // Draws among the tokens that pass temperature, min-p, top-k and top-p. Weights are relative to
    // the likeliest token, whose weight is 1.
    SIMT_DEVICE void Draw(const LogitRow& row, float max, uint32_t& token_id) {
      const auto key_of = [&](float logit) {
        const float weight = ExpOfNegative((logit - max) * row_.inverse_temperature);
        return weight > 0.0f && weight >= row_.min_p ? std::bit_cast<uint32_t>(weight) : 0u;
      };
      Candidates candidates(shared_, row, static_cast<int>(row_.limit), key_of);
      // Weights of which one is likely to divide what is needed from most of the rest.
      constexpr float kFloors[kNumThresholds] = {0x1p-2f,  0x1p-5f,  0x1p-8f, 0x1p-12f,
                                                 0x1p-17f, 0x1p-24f, 0.0f};
      Sums floors;
#pragma unroll
      for (int j = 0; j < kNumThresholds; ++j) floors[j] = std::bit_cast<uint32_t>(kFloors[j]);
      // Keeps apart what reaches the goal.
      const auto list = [&](const Sums& sums, uint64_t goal) {
        uint64_t floor = 0;
#pragma unroll
        for (int j = kNumThresholds - 1; j >= 0; --j) {
          if (sums[j] >= goal) floor = floors[j];
        }
        candidates.List(static_cast<uint32_t>(floor));
      };

      Sums sums;
      uint32_t least = 1;  // key that passes top-k
      if (row_.top_k > 0) {
        candidates.SumAbove(floors, One(), sums);
        if (row_.top_k < sums[kNumThresholds - 1]) {
          list(sums, row_.top_k);
          least = candidates.FindThreshold(row_.top_k, One());
        }
      }
      const auto weight_of = [&](uint32_t key) {
        return key >= least ? Weight()(key) : uint64_t{0};
      };
      candidates.SumAbove(floors, weight_of, sums);
      uint64_t total = sums[kNumThresholds - 1];
      if (total == 0) return;  // the temperature is as good as zero
      if (row_.top_p >= 1.0f) {
        token_id = candidates.FindId(GoalOf(total), weight_of);
        return;
      }

      const uint64_t goal = PartOf(total, static_cast<double>(row_.top_p));
      list(sums, goal);
      const Place last = FindPlace(candidates, goal, weight_of);
      // Kept are the tokens up to the last, in the order of weights and, among equals, of ids.
      total = last.above + (last.index + 1) * Weight()(last.key);
      const Place drawn = FindPlace(candidates, GoalOf(total), weight_of);
      token_id = candidates.FindId(drawn.index + 1, [&](uint32_t key) {
        return key == drawn.key ? uint64_t{1} : uint64_t{0};
      });
    }

    // Returns the sum that the token at `unit` of the distribution is the first to reach.
    SIMT_DEVICE uint64_t GoalOf(uint64_t total) const {
      const uint64_t target = static_cast<uint64_t>(row_.unit * static_cast<double>(total));
      return target < total ? target + 1 : total;
    }
    // Returns the smallest sum that is a `part` of the total, at least 1.
    static SIMT_DEVICE uint64_t PartOf(uint64_t total, double part) {
      const double wanted = part * static_cast<double>(total);
      const uint64_t whole = static_cast<uint64_t>(wanted);
      const uint64_t goal = static_cast<double>(whole) < wanted || whole == 0 ? whole + 1 : whole;
      return goal < total ? goal : total;
    }

    // Place of a candidate in the order of keys, the largest first.
    struct Place {
      uint32_t key;
      uint64_t index;  // among those of the same key, in the order of ids
      uint64_t above;  // sum over larger keys
    };
    template <typename KeyOf, typename WeightOf>
    static SIMT_DEVICE Place FindPlace(const Candidates<KeyOf>& candidates, uint64_t goal,
                                       const WeightOf& weight_of) {
      Place place;
      place.key = candidates.FindThreshold(goal, weight_of);
      Sums thresholds;
#pragma unroll
      for (int j = 0; j < kNumThresholds; ++j) thresholds[j] = uint64_t{place.key} + 1;
      Sums sums;
      candidates.SumAbove(thresholds, weight_of, sums);
      place.above = sums[0];
      place.index = (goal - 1 - place.above) / Weight()(place.key);
      return place;
    }

    SIMT_DEVICE void Score(uint32_t token_id) {
      const float logit = logits_[token_id];
      uint64_t greater[1] = {0};
      Raw().ForEach(0, args_.num_columns,
                    [&](int, float value) { greater[0] += value > logit ? 1 : 0; });
      CombineAll<Plus>(shared_, greater);
      if (ThreadIndex() == 0) {
        result_.logprob = logit - log_sum_;
        result_.rank = static_cast<uint32_t>(greater[0]) + 1;
      }
      if (row_.num_top > 0) FindTop();
    }

    // Writes the likeliest tokens, the lower id first among equals.
    SIMT_DEVICE void FindTop() {
      const uint32_t limit =
          row_.chooses != 0 ? row_.limit : static_cast<uint32_t>(args_.num_columns);
      const uint32_t num_top =
          static_cast<uint32_t>(row_.num_top) < limit ? static_cast<uint32_t>(row_.num_top) : limit;
      const auto key_of = [&](float logit) { return OrderedBits(logit - log_sum_); };
      const LogitRow row = Raw();
      Candidates candidates(shared_, row, static_cast<int>(limit), key_of);
      constexpr float kDepths[kNumThresholds - 1] = {0.5f, 1.0f, 2.0f, 4.0f, 8.0f, 16.0f};
      Sums floors;
#pragma unroll
      for (int j = 0; j < kNumThresholds - 1; ++j) {
        floors[j] = OrderedBits(max_ - log_sum_ - kDepths[j]);
      }
      floors[kNumThresholds - 1] = 0;
      Sums counts;
      candidates.SumAbove(floors, One(), counts);
      uint64_t floor = 0;
#pragma unroll
      for (int j = kNumThresholds - 1; j >= 0; --j) {
        if (counts[j] >= num_top) floor = floors[j];
      }
      candidates.List(static_cast<uint32_t>(floor));

      const uint32_t least = candidates.FindThreshold(num_top, One());
      uint64_t above[1] = {0};
      candidates.ForEach(0, static_cast<int>(limit),
                         [&](int, uint32_t key) { above[0] += key > least ? 1 : 0; });
      CombineAll<Plus>(shared_, above);
      const uint32_t last_id = candidates.FindId(num_top - above[0], [&](uint32_t key) {
        return key == least ? uint64_t{1} : uint64_t{0};
      });
      if (ThreadIndex() == 0) shared_.num_top = 0;
      SyncThreads();
      candidates.ForEach(0, static_cast<int>(limit), [&](int id, uint32_t key) {
        const bool is_top =
            key > least || (key == least && static_cast<uint32_t>(id) <= last_id);
        if (!is_top) return;
        const int place = AtomicAdd(&shared_.num_top, 1);
        shared_.top_keys[place] = key;
        shared_.top_ids[place] = static_cast<uint32_t>(id);
      });
      SyncThreads();
      WriteTop(num_top);
    }

    SIMT_DEVICE void WriteTop(uint32_t num_top) {
      const uint32_t i = static_cast<uint32_t>(ThreadIndex());
      if (i == 0) result_.num_top = num_top;
      if (i >= num_top) return;
      const uint32_t key = shared_.top_keys[i];
      const uint32_t id = shared_.top_ids[i];
      uint32_t place = 0;
      for (uint32_t j = 0; j < num_top; ++j) {
        const uint32_t other = shared_.top_keys[j];
        place += other > key || (other == key && shared_.top_ids[j] < id) ? 1 : 0;
      }
      result_.top_ids[place] = id;
      result_.top_logprobs[place] = FromOrderedBits(key);
    }

    const Args& args_;
    const SampleRow row_;
    SampleShared& shared_;
    float* const logits_;
    SampleResult& result_;
    float max_ = 0.0f;      // of the raw logits
    float log_sum_ = 0.0f;  // logarithm of the sum of their exponentials
  };
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_SAMPLING_SAMPLE_KERNEL_CUH_
