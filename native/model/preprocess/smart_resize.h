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

// Reading of a caller's `max_pixels`: the reference stack ignores it, other stacks bound the volume
// by it, and its name says that it bounds the area.
enum class MaxPixelsMode { kIgnore, kVolume, kArea };

struct SmartResizeRule {
  int64_t factor = 28;              // sides become multiples: patch size x merge size
  int64_t temporal_patch_size = 2;  // frames a still picture counts as
  PixelBounds bounds;
};

// Returns the rule with max_pixels applied to its upper bound. It can lower the bound and never
// raise it, because a tower was sized and trained for the checkpoint's bound.
SmartResizeRule WithMaxPixels(const SmartResizeRule& rule, MaxPixelsMode mode, int64_t max_pixels);

// Returns the size that Glm4vImageProcessor gives a picture: sides rounded half to even to
// multiples of `factor`, then scaled into the bounds. Refuses aspect ratios above 200.
Result<ImageSize> SmartResize(const ImageSize& size, const SmartResizeRule& rule);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_SMART_RESIZE_H_
