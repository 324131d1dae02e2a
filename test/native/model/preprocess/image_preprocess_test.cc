#include "model/preprocess/image_preprocess.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "device/device_id.h"
#include "kernels/dispatch.h"
#include "model/preprocess/image_resize.h"

// It is included last, because its CHECK replaces the one of base/check.h.
#include "doctest/doctest.h"

namespace autoglm {
namespace {

// Returns a picture in which every pixel of every channel differs from its neighbours.
std::vector<uint8_t> Pattern(const ImageSize& size) {
  std::vector<uint8_t> rgb;
  for (int64_t i = 0; i < size.height * size.width * kNumImageChannels; ++i) {
    rgb.push_back(static_cast<uint8_t>(i * 37 % 251));
  }
  return rgb;
}

ImageWorkers WorkersOf(ThreadPool& threads) {
  return {threads, kernels::ActiveKernels().value().chosen.kernels.image};
}

TEST_CASE("ResizeBicubic keeps a picture that has the wanted size") {
  ThreadPool threads({});
  const ImageSize size = {5, 7};
  const std::vector<uint8_t> rgb = Pattern(size);

  CHECK_EQ(ResizeBicubic({rgb.data(), size}, size, WorkersOf(threads)), rgb);
}

TEST_CASE("ResizeBicubic keeps a constant colour in both directions") {
  ThreadPool threads({});
  const std::vector<uint8_t> rgb(31 * 17 * 3, 201);

  for (const ImageSize to : {ImageSize{3, 2}, ImageSize{80, 90}, ImageSize{1, 1}}) {
    const std::vector<uint8_t> resized = ResizeBicubic({rgb.data(), {31, 17}}, to, WorkersOf(threads));

    CHECK_EQ(resized, std::vector<uint8_t>(static_cast<size_t>(to.height * to.width * 3), 201));
  }
}

TEST_CASE("ResizeBicubic makes the same bytes on one thread and on several") {
  ThreadPool one({AvailableCores()[0]});
  ThreadPool several({});
  const ImageSize size = {200, 150};
  const std::vector<uint8_t> rgb = Pattern(size);

  CHECK_EQ(ResizeBicubic({rgb.data(), size}, {90, 333}, WorkersOf(one)),
           ResizeBicubic({rgb.data(), size}, {90, 333}, WorkersOf(several)));
}

TEST_CASE("PatchAt walks the patches of a token before the next token") {
  const Grid grid = {1, 4, 6};
  const std::vector<std::pair<int64_t, int64_t>> expected = {
      {0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}};

  for (size_t i = 0; i < expected.size(); ++i) {
    const PatchPosition at = PatchAt(grid, 2, static_cast<int64_t>(i));
    CHECK_EQ(std::pair(at.row, at.column), expected[i]);
  }
  CHECK_EQ(PatchAt(grid, 2, 12).row, 2);
  CHECK_EQ(PatchAt(grid, 1, 7).row, 1);
}

TEST_CASE("PreprocessImage lays a patch out as channel, frame, row and column, normalised") {
  ThreadPool threads({});
  ImagePreprocessConfig config;
  config.patch_size = 2;
  config.temporal_patch_size = 2;
  config.merge_size = 2;
  config.mean = {0.1f, 0.2f, 0.3f};
  config.std = {0.5f, 0.25f, 0.125f};
  const ImageSize size = {4, 8};
  const std::vector<uint8_t> rgb = Pattern(size);
  std::vector<float> patches(8 * 24);

  PreprocessImage(config, {rgb.data(), size}, size, WorkersOf(threads), patches.data());

  // Patch 5 of the merge order is at row 0, column 3; its value 17 is channel 2, frame 0, (0, 1).
  const uint8_t byte = rgb[(0 * 8 + 3 * 2 + 1) * 3 + 2];
  const float expected = (static_cast<float>(byte) / 255.0f - 0.3f) / 0.125f;
  CHECK_EQ(patches[5 * 24 + 17], doctest::Approx(expected));
  CHECK_EQ(patches[5 * 24 + 21], patches[5 * 24 + 17]);
}

TEST_CASE("PlanImageSize gives every picture the size of a model that has a fixed one") {
  ImagePreprocessConfig config;
  config.fixed_size = ImageSize{384, 192};

  CHECK_EQ(PlanImageSize(config, {10, 4000}, {}).value(), ImageSize{384, 192});
  CHECK_FALSE(PlanImageSize(config, {0, 4000}, {}).ok());
}

TEST_CASE("A model of fixed size refuses limits that its size does not keep") {
  ImagePreprocessConfig config;
  config.fixed_size = ImageSize{384, 192};
  const int64_t area = 384 * 192;
  const auto is_allowed = [&config](const PixelLimits& limits) {
    return PlanImageSize(config, {10, 10}, limits).ok();
  };

  CHECK(is_allowed({.mode = MaxPixelsMode::kArea, .max = area}));
  CHECK_FALSE(is_allowed({.mode = MaxPixelsMode::kArea, .max = area - 1}));
  CHECK(is_allowed({.mode = MaxPixelsMode::kArea, .min = area}));
  CHECK_FALSE(is_allowed({.mode = MaxPixelsMode::kArea, .min = area + 1}));
  CHECK(is_allowed({.mode = MaxPixelsMode::kIgnore, .max = 1, .min = area + 1}));
  config.temporal_patch_size = 2;
  CHECK_FALSE(is_allowed({.mode = MaxPixelsMode::kVolume, .max = 2 * area - 1}));
}

}  // namespace
}  // namespace autoglm
