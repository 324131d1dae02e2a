#ifndef AUTOGLM_KERNELS_CUDA_SAMPLING_REQUEST_H_
#define AUTOGLM_KERNELS_CUDA_SAMPLING_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/sampling/token_choice.h"

namespace autoglm::cuda {

// What a sampling step uploads and what it brings back, as the host and the GPU both see it.

inline constexpr int64_t kMostTokens = int64_t{1} << 21;  // of a vocabulary
inline constexpr int kMostTop = 32;                       // alternatives that a row may ask for
inline constexpr uint32_t kNoMask = 0xffffffffu;

// A list of ids among the words of a step, and as many numbers behind them.
struct SampleList {
  uint32_t offset;
  uint32_t count;
  uint32_t has_duplicates;  // 1: an id is listed twice, so one thread walks the list
};

// What one row asks for.
struct SampleRow {
  double unit;             // random, in [0, 1)
  int32_t row;             // of the logits
  uint32_t limit;          // ids from it on are not chosen
  uint32_t chooses;        // 0: target_token is scored
  uint32_t target_token;
  int32_t num_top;         // alternatives; -1: no log-probability
  uint32_t mask;           // offset of the words of allowed ids, or kNoMask
  float inverse_temperature;  // 0: greedy
  float min_p;
  float top_p;
  uint32_t top_k;
  float repetition_penalty;
  float presence_penalty;
  float frequency_penalty;
  SampleList bias;       // values float32
  SampleList seen;       // no numbers
  SampleList generated;  // counts
};

enum class SampleOutcome : uint32_t { kChosen, kAllForbidden, kNotFinite };

struct SampleResult {
  SampleOutcome outcome;
  uint32_t token_id;
  float logprob;
  uint32_t rank;
  uint32_t num_top;
  uint32_t top_ids[kMostTop];  // best first
  float top_logprobs[kMostTop];
};

// Puts what a step asks for in one piece of memory: rows, then the words of their lists and masks.
class SampleRequest {
 public:
  // Begins a step over a vocabulary; the memory of the one before is used again.
  void Begin(int64_t vocab_size);

  // Adds a row whose parameters are in range.
  void Add(int64_t row, const TokenChoice& choice);

  const std::vector<SampleRow>& rows() const { return rows_; }
  const std::vector<uint32_t>& words() const { return words_; }

 private:
  void AddParams(const SampleParams& params, SampleRow& added);
  SampleList AddList(const std::vector<uint32_t>& ids);
  bool HasDuplicates(const std::vector<uint32_t>& ids);

  size_t vocab_size_ = 0;
  std::vector<uint32_t> marks_;  // a bit for each id of the list that is added
  std::vector<SampleRow> rows_;
  std::vector<uint32_t> words_;
};

// Returns what a row without a result starts from.
ChosenToken UnchosenToken(const TokenChoice& choice, int64_t vocab_size);

// Sets what was chosen, or why nothing was.
void TakeResult(const TokenChoice& choice, const SampleResult& result, ChosenToken& chosen);

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_SAMPLING_REQUEST_H_
