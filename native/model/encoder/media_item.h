#ifndef AUTOGLM_MODEL_MEDIA_ITEM_H_
#define AUTOGLM_MODEL_MEDIA_ITEM_H_

#include <cstdint>
#include <span>
#include <variant>

#include "model/preprocess/image_preprocess.h"
#include "model/encoder/tower.h"

namespace autoglm {

// A decoded picture.
struct ImageInput {
  ImageView image;
};

// A decoded recording, mono, -1 to 1.
struct AudioInput {
  std::span<const float> samples;
  int64_t sample_rate_hz = 0;
};

// What preprocessing would give: patches in merge order, or mel frames. For checks of a tower
// alone.
struct FeatureInput {
  std::span<const float> values;  // [grid cells, feature values]
};

// An item and the cells it is cut into, as the plan of its facts says. Who asks keeps the data alive
// until the item is encoded.
struct MediaItem {
  std::variant<ImageInput, AudioInput, FeatureInput> input;
  Grid grid;
  const CancelFlag* cancelled = nullptr;  // null: cannot be cancelled
};

// What of an item decides its rows: a picture and how its size is bounded, or a recording.
struct ImageFacts {
  ImageSize size;
  MaxPixels max_pixels;
};
struct AudioFacts {
  int64_t num_samples = 0;
  int64_t sample_rate_hz = 0;
};
using ItemFacts = std::variant<ImageFacts, AudioFacts>;

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_MEDIA_ITEM_H_
