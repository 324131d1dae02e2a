#include "model/preprocess/smart_resize.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace autoglm {
namespace {

constexpr double kMaxAspectRatio = 200.0;

std::string SizeText(const ImageSize& size) {
  return std::to_string(size.width) + "x" + std::to_string(size.height);
}

// Rounds to a multiple of `factor`. nearbyint rounds half to even in the default rounding mode, as
// Python's round does.
double RoundToMultiple(double value, double factor) {
  return std::nearbyint(value / factor) * factor;
}

}  // namespace

SmartResizeRule WithLimits(const SmartResizeRule& rule, const PixelLimits& limits) {
  SmartResizeRule bounded = rule;
  if (limits.mode == MaxPixelsMode::kIgnore) return bounded;
  const int64_t frames = limits.mode == MaxPixelsMode::kArea ? rule.temporal_patch_size : 1;
  PixelBounds& bounds = bounded.bounds;
  if (limits.max > 0) bounds.max_volume = std::min(bounds.max_volume, limits.max * frames);
  if (limits.min > 0) bounds.min_volume = limits.min * frames;
  bounds.min_volume = std::min(bounds.min_volume, bounds.max_volume);
  return bounded;
}

Result<ImageSize> SmartResize(const ImageSize& size, const SmartResizeRule& rule) {
  if (size.height < 1 || size.width < 1) {
    return InvalidRequest("the image is empty: " + SizeText(size) + " pixels");
  }
  const double factor = static_cast<double>(rule.factor);
  double height = static_cast<double>(size.height);
  double width = static_cast<double>(size.width);
  if (height < factor || width < factor) {
    const double scale = std::max(factor / height, factor / width);
    height = std::trunc(height * scale);
    width = std::trunc(width * scale);
  }
  if (std::max(height, width) / std::min(height, width) > kMaxAspectRatio) {
    return InvalidRequest("the image's aspect ratio is above 200: " + SizeText(size) + " pixels");
  }

  const double frames = static_cast<double>(rule.temporal_patch_size);
  double to_height = RoundToMultiple(height, factor);
  double to_width = RoundToMultiple(width, factor);
  const double min_volume = static_cast<double>(rule.bounds.min_volume);
  const double max_volume = static_cast<double>(rule.bounds.max_volume);
  if (frames * to_height * to_width > max_volume) {
    const double shrink = std::sqrt(frames * height * width / max_volume);
    to_height = std::max(factor, std::floor(height / shrink / factor) * factor);
    to_width = std::max(factor, std::floor(width / shrink / factor) * factor);
  } else if (frames * to_height * to_width < min_volume) {
    const double grow = std::sqrt(min_volume / (frames * height * width));
    to_height = std::ceil(height * grow / factor) * factor;
    to_width = std::ceil(width * grow / factor) * factor;
  }
  return ImageSize{static_cast<int64_t>(to_height), static_cast<int64_t>(to_width)};
}

}  // namespace autoglm
