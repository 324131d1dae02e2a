#ifndef AUTOGLM_MODEL_MEDIA_PREPROCESS_H_
#define AUTOGLM_MODEL_MEDIA_PREPROCESS_H_

#include <optional>
#include <vector>

#include "base/status.h"
#include "device/thread_pool.h"
#include "model/encoder_config.h"
#include "model/media_item.h"
#include "model/mel.h"

namespace autoglm {

// Decoded media to the features a tower reads. Refuses items of another modality.
class MediaPreprocessor {
 public:
  explicit MediaPreprocessor(const EncoderConfig& config);

  // Grid of an item before anything is computed.
  Result<Grid> PlanGrid(const ItemFacts& facts) const;

  struct Features {
    Grid grid;
    std::vector<float> values;  // [grid cells, feature values]
  };
  Result<Features> Prepare(const MediaItem& item, ThreadPool& threads) const;

 private:
  Result<Grid> PlanImage(const ImageFacts& facts) const;
  Result<Grid> PlanAudio(const AudioFacts& facts) const;
  Result<Features> PrepareImage(const ImageInput& input, ThreadPool& threads) const;
  Result<Features> PrepareAudio(const AudioInput& input, ThreadPool& threads) const;
  Result<Features> CheckFeatures(const FeatureInput& input) const;

  const EncoderConfig config_;
  std::optional<LogMel> log_mel_;  // of an audio encoder
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_MEDIA_PREPROCESS_H_
