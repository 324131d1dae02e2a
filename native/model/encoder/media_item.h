#ifndef AUTOGLM_MODEL_MEDIA_ITEM_H_
#define AUTOGLM_MODEL_MEDIA_ITEM_H_

#include <cstdint>
#include <optional>
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

// An item that is preprocessed already: patches in merge order, or mel frames. It is for checks of
// a tower alone.
struct FeatureInput {
  std::span<const float> values;  // [grid cells, feature values]
};

// An item and the cells into which it is cut, from the plan of its facts. The caller keeps the data
// alive until the item is encoded.
struct MediaItem {
  std::variant<ImageInput, AudioInput, FeatureInput> input;
  Grid grid;
  const CancelFlag* cancelled = nullptr;  // null: cannot be cancelled
  // Byte of the encoder's row pool at which its rows are to lie; none: they come to the host.
  std::optional<size_t> pool_offset = {};
};

// Facts of an item that decide its rows: a picture's size and its bounds, or a recording's length.
struct ImageFacts {
  ImageSize size;
  PixelLimits limits;
};
struct AudioFacts {
  int64_t num_samples = 0;
  int64_t sample_rate_hz = 0;
};
using ItemFacts = std::variant<ImageFacts, AudioFacts>;

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_MEDIA_ITEM_H_
