#ifndef AUTOGLM_MODEL_SMART_RESIZE_H_
#define AUTOGLM_MODEL_SMART_RESIZE_H_

#include <cstdint>

#include "base/status.h"
#include "model/preprocess/image.h"

namespace autoglm {

// Bounds of a resized picture. Both are volumes, frames x height x width, and a still picture
// counts as `temporal_patch_size` frames. So they allow half of the pixels that their names in
// preprocessor_config.json suggest.
struct PixelBounds {
  int64_t min_volume = 0;  // size.shortest_edge
  int64_t max_volume = 0;  // size.longest_edge
};

// Reading of the bounds that a caller requests: none are requested, they are volumes as the
// checkpoint's own, or they are areas of the resized picture.
enum class MaxPixelsMode { kIgnore, kVolume, kArea };

// Bounds that a caller requests, pixels. A model of fixed size refuses those that its size does not
// keep. Not read if the mode is kIgnore.
struct PixelLimits {
  MaxPixelsMode mode = MaxPixelsMode::kIgnore;
  int64_t max = 0;  // 0: the checkpoint's
  int64_t min = 0;  // 0: the checkpoint's
};

struct SmartResizeRule {
  int64_t factor = 28;              // sides become multiples: patch size x merge size
  int64_t temporal_patch_size = 2;  // frames a still picture counts as
  PixelBounds bounds;
};

// Returns the rule with the limits applied. They can lower the upper bound and never raise it,
// because a tower was sized and trained for the checkpoint's bound; the lower one is at most the
// upper one.
SmartResizeRule WithLimits(const SmartResizeRule& rule, const PixelLimits& limits);

// Returns the size that Glm4vImageProcessor gives a picture: sides rounded half to even to
// multiples of `factor`, then scaled into the bounds. Refuses aspect ratios above 200.
Result<ImageSize> SmartResize(const ImageSize& size, const SmartResizeRule& rule);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_SMART_RESIZE_H_
