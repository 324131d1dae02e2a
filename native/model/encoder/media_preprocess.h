#ifndef AUTOGLM_MODEL_MEDIA_PREPROCESS_H_
#define AUTOGLM_MODEL_MEDIA_PREPROCESS_H_

#include <optional>
#include <vector>

#include "base/status.h"
#include "device/thread_pool.h"
#include "model/encoder/encoder_config.h"
#include "model/encoder/media_item.h"
#include "model/preprocess/image.h"
#include "model/preprocess/mel.h"

namespace autoglm {

// Turns decoded media into the features that a tower reads. Refuses items of another modality. Any
// thread may plan at any time.
class MediaPreprocessor {
 public:
  explicit MediaPreprocessor(const EncoderConfig& config);

  // Returns rows and grid of an item before anything is computed, or the reason why it cannot be
  // encoded.
  Result<ItemPlan> Plan(const ItemFacts& facts) const;

  // Returns the plan of an item that has its grid; refuses a grid that does not fit the item or the
  // model.
  Result<ItemPlan> PlanOf(const MediaItem& item) const;

  // Computes the features of an item whose grid fits: [grid cells, feature values].
  Result<std::vector<float>> Prepare(const MediaItem& item, const ImageWorkers& workers) const;

 private:
  Result<Grid> PlanImage(const ImageFacts& facts) const;
  Result<Grid> PlanAudio(const AudioFacts& facts) const;
  bool FitsModel(const Grid& grid) const;
  bool FitsInput(const MediaItem& item) const;
  int64_t MinMelFrames() const;
  int64_t NumMelFrames(int64_t num_samples, int64_t sample_rate_hz) const;
  std::vector<float> PrepareImage(const ImageInput& input, const Grid& grid,
                                  const ImageWorkers& workers) const;
  Result<std::vector<float>> PrepareAudio(const AudioInput& input, const Grid& grid,
                                          ThreadPool& threads) const;

  const EncoderConfig config_;
  std::optional<LogMel> log_mel_;  // of an audio encoder
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_MEDIA_PREPROCESS_H_
