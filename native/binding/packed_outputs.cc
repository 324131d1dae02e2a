#include "binding/packed_outputs.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace autoglm::binding {
namespace {

// Numbers of an output, in the order of native/packed-outputs.ts.
enum OutputNumber : size_t {
  kToken,
  kTargetToken,
  kNumLogprobs,
  kSamples,  // 0: the following numbers are 0, too
  kTemperature,
  kTopK,
  kTopP,
  kMinP,
  kRepetitionPenalty,
  kPresencePenalty,
  kFrequencyPenalty,
  kStream,
  kPosition,
  kVocabLimit,
  kNumSeen,
  kNumGenerated,
  kNumCounts,
  kNumBiasTokens,
  kNumBiasValues,
  kNumForbidden,
  kNumAllowed,  // -1: no mask
  kNumNumbers,
};

// Takes the outputs one after another. The first number that is not what it should be sets
// `status`, and later reads return zeros, so that a caller checks once at the end.
class OutputUnpacker {
 public:
  OutputUnpacker(const ObjectReader& object, Status& status)
      : numbers_(object.Doubles("outputNumbers")),
        seeds_(object.BigUint64s("outputSeeds")),
        list_values_(object.Uint32s("outputLists")),
        bias_values_(object.Floats("outputBiasValues")),
        lists_(list_values_),
        biases_(bias_values_),
        status_(&status) {
    if (status.ok() && numbers_.size() != seeds_.size() * kNumNumbers) {
      status = InvalidRequest("step plan: outputNumbers and outputSeeds disagree in length");
    }
  }

  size_t num_outputs() const { return status_->ok() ? seeds_.size() : 0; }

  int32_t TokenOf(size_t output) const { return Int32(output, kToken, "token"); }

  TokenChoice ChoiceOf(size_t output) {
    TokenChoice choice;
    choice.num_logprobs = Int32(output, kNumLogprobs, "numLogprobs");
    if (Number(output, kSamples) == 0.0) {
      choice.target_token = Uint32(output, kTargetToken, "targetToken");
    } else {
      choice.sample = ParamsOf(output);
    }
    return choice;
  }

 private:
  SampleParams ParamsOf(size_t output) {
    SampleParams params;
    params.temperature = Float(output, kTemperature);
    params.top_k = Uint32(output, kTopK, "topK");
    params.top_p = Float(output, kTopP);
    params.min_p = Float(output, kMinP);
    params.repetition_penalty = Float(output, kRepetitionPenalty);
    params.presence_penalty = Float(output, kPresencePenalty);
    params.frequency_penalty = Float(output, kFrequencyPenalty);
    params.seed = seeds_[output];
    params.stream = Uint32(output, kStream, "stream");
    params.position = Uint32(output, kPosition, "position");
    params.vocab_limit = Uint32(output, kVocabLimit, "vocabLimit");
    params.seen_token_ids = Take(lists_, Uint32(output, kNumSeen, "seenTokenIds"));
    params.generated_token_ids = Take(lists_, Uint32(output, kNumGenerated, "generatedTokenIds"));
    params.generated_counts = Take(lists_, Uint32(output, kNumCounts, "generatedCounts"));
    params.bias_token_ids = Take(lists_, Uint32(output, kNumBiasTokens, "biasTokenIds"));
    params.bias_values = Take(biases_, Uint32(output, kNumBiasValues, "biasValues"));
    params.forbidden_token_ids = Take(lists_, Uint32(output, kNumForbidden, "forbiddenTokenIds"));
    if (Number(output, kNumAllowed) >= 0.0) {
      params.allowed_tokens = Take(lists_, Uint32(output, kNumAllowed, "allowedTokens"));
    }
    return params;
  }

  double Number(size_t output, OutputNumber which) const {
    return numbers_[output * kNumNumbers + which];
  }
  float Float(size_t output, OutputNumber which) const {
    return static_cast<float>(Number(output, which));
  }

  double Integer(size_t output, OutputNumber which, const char* name, double min,
                 double max) const {
    const double number = Number(output, which);
    if (number == std::floor(number) && number >= min && number <= max) return number;
    if (status_->ok()) {
      *status_ = InvalidRequest("step plan: outputs[" + std::to_string(output) + "]: " + name +
                                ": expected an integer");
    }
    return 0.0;
  }
  // Clamped, so that a number outside 32 bits stays out of every range.
  int32_t Int32(size_t output, OutputNumber which, const char* name) const {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const double number = Integer(output, which, name, -kInfinity, kInfinity);
    return static_cast<int32_t>(std::clamp<double>(number, INT32_MIN, INT32_MAX));
  }
  uint32_t Uint32(size_t output, OutputNumber which, const char* name) const {
    return static_cast<uint32_t>(
        Integer(output, which, name, 0.0, std::numeric_limits<uint32_t>::max()));
  }

  // Takes the next values of all outputs' lists.
  template <typename T>
  std::vector<T> Take(std::span<const T>& values, uint32_t count) const {
    if (count > values.size() && status_->ok()) {
      *status_ = InvalidRequest("step plan: the lists of outputs are shorter than their lengths");
    }
    if (!status_->ok()) return {};
    const std::span<const T> taken = values.first(count);
    values = values.subspan(count);
    return std::vector<T>(taken.begin(), taken.end());
  }

  const std::vector<double> numbers_;         // [num_outputs, kNumNumbers]
  const std::vector<uint64_t> seeds_;         // [num_outputs]
  const std::vector<uint32_t> list_values_;
  const std::vector<float> bias_values_;
  // What has not been taken.
  std::span<const uint32_t> lists_;
  std::span<const float> biases_;
  Status* status_;
};

}  // namespace

void ReadPackedOutputs(const ObjectReader& object, StepPlan& plan) {
  OutputUnpacker outputs(object, object.status());
  plan.output_tokens.reserve(outputs.num_outputs());
  plan.outputs.reserve(outputs.num_outputs());
  for (size_t i = 0; i < outputs.num_outputs(); ++i) {
    plan.output_tokens.push_back(outputs.TokenOf(i));
    plan.outputs.push_back(outputs.ChoiceOf(i));
  }
}

}  // namespace autoglm::binding
