#ifndef AUTOGLM_TEST_NATIVE_DECODER_STEPS_H_
#define AUTOGLM_TEST_NATIVE_DECODER_STEPS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "model/decoder/decoder.h"

namespace autoglm {

inline constexpr int64_t kBlockSize = 4;

// Returns options of a small decoder with random weights, whose sizes are no multiples of vectors.
DecoderOptions SmallOptions();

std::unique_ptr<Decoder> LoadSmall(const DecoderOptions& options);

// Tokens `begin` .. `end` - 1 of a sequence that owns blocks from `first_block`.
struct Chunk {
  const std::vector<int32_t>* tokens;
  int32_t first_block;
  int32_t begin;
  int32_t end;
};

// Plans a step of these chunks that scores the last token of each against all others.
StepPlan PlanOf(const std::vector<Chunk>& chunks);

// Runs a step and returns the log-probabilities of its last output: their bits tell any difference.
std::vector<TokenLogprob> RunStep(Decoder& decoder, const std::vector<Chunk>& chunks);

bool SameBits(const std::vector<TokenLogprob>& a, const std::vector<TokenLogprob>& b);

// Returns tokens of the small decoder's vocabulary.
std::vector<int32_t> Prompt(int32_t length, int32_t seed);

}  // namespace autoglm

#endif  // AUTOGLM_TEST_NATIVE_DECODER_STEPS_H_
