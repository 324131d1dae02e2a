#include "model/preprocess/smart_resize.h"

#include <cstdint>
#include <string>
#include <vector>

// It is included last, because its CHECK replaces the one of base/check.h.
#include "doctest/doctest.h"


namespace autoglm {
namespace {

// The rule in preprocessor_config.json of GLM-4.1V-9B.
constexpr SmartResizeRule kPublished = {
    .factor = 28, .temporal_patch_size = 2, .bounds = {.min_volume = 12544, .max_volume = 9633792}};

struct Case {
  ImageSize from;
  ImageSize to;
};

void CheckSizes(const std::vector<Case>& cases, const SmartResizeRule& rule) {
  for (const Case& c : cases) {
    CAPTURE(c.from.height);
    CAPTURE(c.from.width);

    const Result<ImageSize> to = SmartResize(c.from, rule);

    REQUIRE(to.ok());
    CHECK_EQ(to.value().height, c.to.height);
    CHECK_EQ(to.value().width, c.to.width);
  }
}

TEST_CASE("SmartResize gives the reference's sizes within the published bounds") {
  CheckSizes({{{2400, 1080}, {2408, 1092}},
              {{2340, 1080}, {2352, 1092}},
              {{1920, 1080}, {1932, 1092}},
              {{3200, 1440}, {3192, 1428}},
              {{3840, 2160}, {2912, 1624}},
              {{336, 336}, {336, 336}},
              {{100, 100}, {112, 112}},
              {{20, 40}, {56, 112}},
              {{14, 14}, {84, 84}},
              {{1, 1}, {84, 84}}},
             kPublished);
}

TEST_CASE("SmartResize rounds a half to the even multiple") {
  CheckSizes({{{742, 770}, {728, 784}}}, kPublished);
}

TEST_CASE("SmartResize reads max_pixels as frames x height x width in volume mode") {
  CheckSizes({{{2400, 1080}, {2352, 1036}},
              {{2340, 1080}, {2324, 1064}},
              {{1920, 1080}, {1932, 1092}},
              {{3200, 1440}, {2352, 1036}},
              {{3840, 2160}, {2100, 1176}}},
             WithLimits(kPublished, {.mode = MaxPixelsMode::kVolume, .max = 5000000}));
}

TEST_CASE("max_pixels never raises the checkpoint's own bound") {
  for (const MaxPixelsMode mode : {MaxPixelsMode::kVolume, MaxPixelsMode::kArea}) {
    const SmartResizeRule rule = WithLimits(kPublished, {.mode = mode, .max = int64_t{1} << 53});

    CHECK_EQ(rule.bounds.max_volume, kPublished.bounds.max_volume);
  }
}

TEST_CASE("SmartResize reads max_pixels as height x width in area mode") {
  CheckSizes({{{2400, 1080}, {2408, 1092}}, {{100, 100}, {112, 112}}},
             WithLimits(kPublished, {.mode = MaxPixelsMode::kArea, .max = 5000000}));
  CheckSizes({{{1000, 1000}, {700, 700}}},
             WithLimits(kPublished, {.mode = MaxPixelsMode::kArea, .max = 500000}));
}

TEST_CASE("SmartResize leaves the bounds alone in ignore mode") {
  CheckSizes({{{2400, 1080}, {2408, 1092}}},
             WithLimits(kPublished, {.mode = MaxPixelsMode::kIgnore, .max = 1}));
}

TEST_CASE("min_pixels enlarges a small picture, at most to the upper bound") {
  CheckSizes({{{100, 100}, {224, 224}}},
             WithLimits(kPublished, {.mode = MaxPixelsMode::kArea, .min = 50000}));
  CheckSizes({{{100, 100}, {168, 168}}},
             WithLimits(kPublished, {.mode = MaxPixelsMode::kVolume, .min = 50000}));
  const SmartResizeRule rule = WithLimits(
      kPublished, {.mode = MaxPixelsMode::kVolume, .max = 100000, .min = int64_t{1} << 32});

  CHECK_EQ(rule.bounds.min_volume, 100000);
}

TEST_CASE("SmartResize refuses a picture without pixels") {
  const Result<ImageSize> to = SmartResize({0, 10}, kPublished);

  REQUIRE_FALSE(to.ok());
  CHECK_EQ(to.status().reason(), Reason::kInvalidRequest);
}

TEST_CASE("SmartResize accepts an aspect ratio of 200 and refuses a longer one") {
  CHECK(SmartResize({28, 5600}, kPublished).ok());

  const Result<ImageSize> to = SmartResize({28, 5601}, kPublished);

  REQUIRE_FALSE(to.ok());
  CHECK_NE(to.status().message().find("5601x28"), std::string::npos);
}

}  // namespace
}  // namespace autoglm
