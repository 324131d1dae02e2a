#include "model/preprocess/image_preprocess.h"

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.h"
#include "model/preprocess/image_resize.h"

namespace autoglm {
namespace {

// Values (byte * rescale_factor - mean) / std of every byte, by channel.
using NormalisedBytes = std::array<std::array<float, 256>, kNumImageChannels>;

NormalisedBytes NormaliseBytes(const ImagePreprocessConfig& config) {
  NormalisedBytes table;
  for (size_t channel = 0; channel < table.size(); ++channel) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const float rescaled = static_cast<float>(byte) * config.rescale_factor;
      table[channel][byte] = (rescaled - config.mean[channel]) / config.std[channel];
    }
  }
  return table;
}

// Writes one patch row: [3, temporal_patch_size, patch_size, patch_size].
void WritePatch(const ImagePreprocessConfig& config, const NormalisedBytes& normalised,
                const uint8_t* corner, int64_t row_values, float* patch) {
  const int64_t side = config.patch_size;
  const int64_t plane_values = side * side;
  for (int64_t channel = 0; channel < kNumImageChannels; ++channel) {
    const std::array<float, 256>& table = normalised[static_cast<size_t>(channel)];
    float* plane = patch + channel * config.temporal_patch_size * plane_values;
    for (int64_t y = 0; y < side; ++y) {
      const uint8_t* pixel = corner + y * row_values + channel;
      for (int64_t x = 0; x < side; ++x) {
        plane[y * side + x] = table[pixel[x * kNumImageChannels]];
      }
    }
    for (int64_t t = 1; t < config.temporal_patch_size; ++t) {
      std::memcpy(plane + t * plane_values, plane,
                  static_cast<size_t>(plane_values) * sizeof(float));
    }
  }
}

}  // namespace

namespace {

// Refuses limits that the one size of a model does not keep.
Status CheckLimits(const ImagePreprocessConfig& config, const PixelLimits& limits) {
  if (limits.mode == MaxPixelsMode::kIgnore) return Status();
  const int64_t frames = limits.mode == MaxPixelsMode::kVolume ? config.temporal_patch_size : 1;
  const int64_t pixels = frames * config.fixed_size->height * config.fixed_size->width;
  if ((limits.max == 0 || pixels <= limits.max) && pixels >= limits.min) return Status();
  return InvalidRequest("the model resizes every picture to " + std::to_string(pixels) +
                        " pixels, which max_pixels and min_pixels must allow");
}

}  // namespace

Result<ImageSize> PlanImageSize(const ImagePreprocessConfig& config, const ImageSize& size,
                                const PixelLimits& limits) {
  if (!config.fixed_size.has_value()) {
    return SmartResize(size, WithLimits(config.smart_resize, limits));
  }
  if (size.height < 1 || size.width < 1) return InvalidRequest("the image has no pixels");
  const Status allowed = CheckLimits(config, limits);
  if (!allowed.ok()) return allowed;
  return *config.fixed_size;
}

Grid PatchGrid(const ImagePreprocessConfig& config, const ImageSize& size) {
  return {1, size.height / config.patch_size, size.width / config.patch_size};
}

PatchPosition PatchAt(const Grid& grid, int64_t merge_size, int64_t index) {
  const int64_t cells_per_token = merge_size * merge_size;
  const int64_t tokens_per_row = grid.w / merge_size;
  const int64_t token = index / cells_per_token;
  const int64_t cell = index % cells_per_token;
  return {token / tokens_per_row * merge_size + cell / merge_size,
          token % tokens_per_row * merge_size + cell % merge_size};
}

void PreprocessImage(const ImagePreprocessConfig& config, const ImageView& image,
                     const ImageSize& to, const ImageWorkers& workers, float* patches) {
  const Grid grid = PatchGrid(config, to);
  CHECK(grid.h % config.merge_size == 0 && grid.w % config.merge_size == 0);
  const std::vector<uint8_t> resized = ResizeBicubic(image, to, workers);
  const NormalisedBytes normalised = NormaliseBytes(config);
  const int64_t row_values = to.width * kNumImageChannels;

  // A task is one row of tokens: merge_size rows of patches.
  const int64_t patches_per_task = config.merge_size * grid.w;
  workers.threads.ParallelFor(grid.h / config.merge_size, [&](int64_t task) {
    for (int64_t i = 0; i < patches_per_task; ++i) {
      const int64_t index = task * patches_per_task + i;
      const PatchPosition at = PatchAt(grid, config.merge_size, index);
      const uint8_t* corner = resized.data() + at.row * config.patch_size * row_values +
                              at.column * config.patch_size * kNumImageChannels;
      WritePatch(config, normalised, corner, row_values, patches + index * config.PatchValues());
    }
  });
}

}  // namespace autoglm
