#ifndef AUTOGLM_TEST_NATIVE_GOLDEN_ITEMS_H_
#define AUTOGLM_TEST_NATIVE_GOLDEN_ITEMS_H_

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "golden.h"
#include "model/encoder/encoder.h"

// It is included last, because its CHECK replaces the one of base/check.h.
#include "doctest/doctest.h"

// Towers of the fixtures on any device, against what the reference implementation saved.

namespace autoglm {

inline constexpr double kFloat32Tolerance = 2e-4;
inline constexpr double kBfloat16Tolerance = 2e-2;

inline std::unique_ptr<Encoder> LoadEncoderOn(DeviceOpener open_device, const std::string& fixture,
                                              Modality modality) {
  EncoderOptions options;
  options.directory = FixturePath(fixture);
  options.modality = modality;
  Result<std::unique_ptr<Encoder>> encoder = Encoder::Load(options, open_device);
  INFO(encoder.status().message());
  REQUIRE(encoder.ok());
  return std::move(encoder.value());
}

inline Grid GridOf(const Golden& golden, const std::string& name) {
  const std::vector<int32_t> grid = golden.Integers(name);
  return {grid[0], grid[1], grid[2]};
}

// Items with the features that the reference computed.
struct GoldenItems {
  std::vector<std::vector<float>> features;
  std::vector<MediaItem> items;
  std::vector<std::vector<float>> expected;

  void Add(std::vector<float> values, const Grid& grid, std::vector<float> rows) {
    features.push_back(std::move(values));
    items.push_back({.input = FeatureInput{features.back()}, .grid = grid});
    expected.push_back(std::move(rows));
  }
};

inline GoldenItems ImageItems(const std::string& fixture) {
  const Golden golden(fixture);
  GoldenItems items;
  for (const std::string image : {"image0", "image1", "image2", "image3"}) {
    items.Add(golden.Floats(image + ".pixel_values"), GridOf(golden, image + ".grid"),
              golden.Floats(image + ".embeddings"));
  }
  return items;
}

// Returns the audio items of a fixture, with only the frames and rows that the reference's masks
// keep.
inline GoldenItems AudioItems(const std::string& fixture) {
  const Golden golden(fixture);
  GoldenItems items;
  for (const std::string audio : {"audio0", "audio1", "audio2"}) {
    const auto kept = [&](const std::string& name, const std::string& mask) {
      const std::vector<int32_t> valid = golden.Integers(mask);
      std::vector<float> values = golden.Floats(name);
      const size_t width = values.size() / valid.size();
      size_t rows = 0;
      while (rows < valid.size() && valid[rows] == 1) rows += 1;
      values.resize(rows * width);
      return values;
    };
    std::vector<float> mel = kept(audio + ".mel", audio + ".mask");
    const Grid grid = {.t = static_cast<int64_t>(mel.size()) / 80, .h = 1, .w = 1};
    items.Add(std::move(mel), grid, kept(audio + ".encoded", audio + ".encoded_mask"));
  }
  return items;
}

// Checks each item alone and all of them together.
inline void CheckRows(DeviceOpener open_device, const std::string& fixture, Modality modality,
                      const GoldenItems& items, double tolerance) {
  const std::unique_ptr<Encoder> encoder = LoadEncoderOn(open_device, fixture, modality);

  const std::vector<EncodedItem> together = encoder->Encode(items.items);

  for (size_t i = 0; i < items.items.size(); ++i) {
    CAPTURE(fixture);
    CAPTURE(i);
    REQUIRE(together[i].status.ok());
    CHECK_LT(RelativeError(together[i].rows, items.expected[i]), tolerance);
    const std::vector<EncodedItem> alone = encoder->Encode(std::span(&items.items[i], 1));
    CHECK_MESSAGE(alone[0].rows == together[i].rows, "rows depend on the batch");
  }
}


// Checks the states of the tower without a merger, and returns them.
inline EncoderTrace CheckVit(DeviceOpener open_device) {
  const Golden golden("vit-tiny");
  const std::vector<float> pixels = golden.Floats("pixel_values");
  const std::unique_ptr<Encoder> encoder = LoadEncoderOn(open_device, "vit-tiny", Modality::kImage);
  const Grid grid = {1, 6, 3};
  std::vector<float> patches;  // [18, 3 * 16 * 16]
  for (int64_t cell = 0; cell < grid.NumCells(); ++cell) {
    for (int64_t i = 0; i < 3 * 16 * 16; ++i) {
      const int64_t y = cell / grid.w * 16 + i / 16 % 16;
      const int64_t x = cell % grid.w * 16 + i % 16;
      patches.push_back(pixels[static_cast<size_t>((i / 256 * 96 + y) * 48 + x)]);
    }
  }

  EncoderTrace trace = encoder->Trace({.input = FeatureInput{patches}, .grid = grid});

  REQUIRE(trace.encoded.status.ok());
  CHECK_LT(RelativeError(trace.states, golden.Floats("last_hidden_state")), kFloat32Tolerance);
  return trace;
}

}  // namespace autoglm

#endif  // AUTOGLM_TEST_NATIVE_GOLDEN_ITEMS_H_
