#ifndef AUTOGLM_MODEL_IMAGE_PREPROCESS_H_
#define AUTOGLM_MODEL_IMAGE_PREPROCESS_H_

#include <array>
#include <cstdint>
#include <optional>

#include "base/status.h"
#include "device/thread_pool.h"
#include "model/preprocess/image.h"
#include "model/preprocess/smart_resize.h"

namespace autoglm {

// Patches of an image, or mel frames of a recording (as t, with h = w = 1).
struct Grid {
  int64_t t = 1;
  int64_t h = 1;
  int64_t w = 1;

  int64_t NumCells() const { return t * h * w; }
  bool operator==(const Grid&) const = default;
};

// Form of one model's pictures: facts of config.json and preprocessor_config.json.
struct ImagePreprocessConfig {
  std::array<float, kNumImageChannels> mean = {0.5f, 0.5f, 0.5f};
  std::array<float, kNumImageChannels> std = {0.5f, 0.5f, 0.5f};
  float rescale_factor = 1.0f / 255.0f;
  int64_t patch_size = 16;
  int64_t temporal_patch_size = 1;  // copies of a still picture in a patch row
  int64_t merge_size = 1;           // a token is merge_size x merge_size patches
  // Size of every picture; if unset, `smart_resize` chooses a size for each.
  std::optional<ImageSize> fixed_size;
  SmartResizeRule smart_resize;

  // Returns the number of values of a patch row: [3, temporal_patch_size, patch_size, patch_size].
  int64_t PatchValues() const {
    return kNumImageChannels * temporal_patch_size * patch_size * patch_size;
  }
};

// Returns the size to which a picture is resized.
Result<ImageSize> PlanImageSize(const ImagePreprocessConfig& config, const ImageSize& size,
                                const PixelLimits& limits);

// Returns the patches of a picture that has been resized to `size`.
Grid PatchGrid(const ImagePreprocessConfig& config, const ImageSize& size);

// Place of a patch in its picture.
struct PatchPosition {
  int64_t row;
  int64_t column;
};

// Returns the place of patch `index`. Patches are in merge order: the patches of one token follow
// each other, tokens are row-major.
PatchPosition PatchAt(const Grid& grid, int64_t merge_size, int64_t index);

// Resizes, normalises and cuts into patches. `patches` is host memory
// [grid cells, PatchValues()], float32; each row is (channel, t, y, x).
void PreprocessImage(const ImagePreprocessConfig& config, const ImageView& image,
                     const ImageSize& to, const ImageWorkers& workers, float* patches);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_IMAGE_PREPROCESS_H_
