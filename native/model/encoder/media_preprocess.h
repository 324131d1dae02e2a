#ifndef AUTOGLM_MODEL_MEDIA_PREPROCESS_H_
#define AUTOGLM_MODEL_MEDIA_PREPROCESS_H_

#include <optional>
#include <vector>

#include "base/status.h"
#include "device/thread_pool.h"
#include "model/encoder/encoder_config.h"
#include "model/encoder/media_item.h"
#include "model/preprocess/mel.h"

namespace autoglm {

// Decoded media to the features a tower reads. Refuses items of another modality. Any thread may
// plan at any time.
class MediaPreprocessor {
 public:
  explicit MediaPreprocessor(const EncoderConfig& config);

  // Rows and grid of an item before anything is computed, or why it cannot be encoded.
  Result<ItemPlan> Plan(const ItemFacts& facts) const;
  Result<ItemPlan> Plan(const MediaItem& item) const;

  // The features of an item whose plan has this grid: [grid cells, feature values].
  Result<std::vector<float>> Prepare(const MediaItem& item, const Grid& grid,
                                     ThreadPool& threads) const;

 private:
  Result<Grid> PlanImage(const ImageFacts& facts) const;
  Result<Grid> PlanAudio(const AudioFacts& facts) const;
  Result<Grid> PlanFeatures(const FeatureInput& input) const;
  std::vector<float> PrepareImage(const ImageInput& input, const Grid& grid,
                                  ThreadPool& threads) const;
  Result<std::vector<float>> PrepareAudio(const AudioInput& input, const Grid& grid,
                                          ThreadPool& threads) const;

  const EncoderConfig config_;
  std::optional<LogMel> log_mel_;  // of an audio encoder
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_MEDIA_PREPROCESS_H_
