#include "kernels/amx/tiles.h"

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "software_tiles.h"
#include "doctest/doctest.h"
#include "kernels/amx_support.h"

namespace autoglm::kernels {
namespace {

// Contents of three tiles: sums [rows, 16], a [rows, 64 bytes], b [16, 64 bytes].
struct Operands {
  int64_t num_rows;
  std::vector<uint32_t> sums;
  std::vector<uint32_t> a;
  std::vector<uint32_t> b;
};

Operands RandomOperands(int64_t num_rows, uint32_t seed, uint32_t mask) {
  std::mt19937 generator(seed);
  const auto fill = [&](int64_t num_rows, uint32_t keep) {
    std::vector<uint32_t> lanes(static_cast<size_t>(num_rows * kTileColumns));
    for (uint32_t& lane : lanes) lane = static_cast<uint32_t>(generator()) & keep;
    return lanes;
  };
  Operands operands = {num_rows, fill(num_rows, mask), fill(num_rows, mask), fill(16, mask)};
  return operands;
}

enum class Dots { kPairs, kBytes };

// Returns the sums after one product.
template <typename T>
std::vector<uint32_t> Multiply(const Operands& operands, Dots dots) {
  TileConfig config;
  config.Set(0, operands.num_rows, kTileRowBytes);
  config.Set(4, operands.num_rows, kTileRowBytes);
  config.Set(6, kTileRows, kTileRowBytes);
  std::vector<uint32_t> sums = operands.sums;
  T::Configure(config);
  T::template Load<0>(sums.data(), kTileRowBytes);
  T::template Load<4>(operands.a.data(), kTileRowBytes);
  T::template Load<6>(operands.b.data(), kTileRowBytes);
  if (dots == Dots::kPairs) {
    T::template AddPairDots<0, 4, 6>();
  } else {
    T::template AddByteDots<0, 4, 6>();
  }
  T::template Store<0>(sums.data(), kTileRowBytes);
  T::Release();
  return sums;
}

uint32_t PairOf(float low, float high) {
  uint32_t bits[2];
  std::memcpy(&bits[0], &low, 4);
  std::memcpy(&bits[1], &high, 4);
  return bits[0] >> 16 | (bits[1] & 0xffff0000u);
}

TEST_CASE("Software tiles multiply whole numbers exactly") {
  Operands operands = RandomOperands(3, 1, 0);
  for (size_t i = 0; i < operands.a.size(); ++i) operands.a[i] = PairOf(1.0f + i % 7, -2.0f);
  for (size_t i = 0; i < operands.b.size(); ++i) operands.b[i] = PairOf(3.0f, 1.0f + i % 5);

  const std::vector<uint32_t> sums = Multiply<SoftwareTiles>(operands, Dots::kPairs);

  for (size_t i = 0; i < sums.size(); ++i) {
    float expected = 0.0f;
    for (size_t k = 0; k < 16; ++k) {
      expected += (1.0f + (i / 16 * 16 + k) % 7) * 3.0f - 2.0f * (1.0f + (k * 16 + i % 16) % 5);
    }
    float sum = 0.0f;
    std::memcpy(&sum, &sums[i], 4);
    CHECK_EQ(sum, expected);
  }
}

TEST_CASE("Software tiles take subnormal numbers as zero") {
  Operands operands = RandomOperands(1, 1, 0);
  operands.a[0] = PairOf(0x1p-130f, 1.0f);
  operands.b[0] = PairOf(1.0f, 0x1p-130f);
  operands.sums[0] = 1u;  // the smallest subnormal

  CHECK_EQ(Multiply<SoftwareTiles>(operands, Dots::kPairs)[0], 0u);
}

TEST_CASE("Software tiles multiply unsigned with signed bytes") {
  Operands operands = RandomOperands(2, 1, 0);
  operands.a[0] = 0xff020100u;   // 0, 1, 2, 255
  operands.b[16 * 0] = 0x80ff0305u;  // 5, 3, -1, -128

  const std::vector<uint32_t> sums = Multiply<SoftwareTiles>(operands, Dots::kBytes);

  CHECK_EQ(static_cast<int32_t>(sums[0]), 3 - 2 - 255 * 128);
  CHECK_EQ(sums[16], 0u);
}

TEST_CASE("Software tiles give the bits of the processor's") {
  if (RequestAmx() != AmxSupport::kAvailable) {
    MESSAGE("skipped: " << DescribeAmxSupport(RequestAmx()));
    return;
  }
  // Numbers of ordinary size, in one binade, and tiny ones of which some products are subnormal.
  for (const uint32_t mask : {0xbfffbfffu, 0x007f007fu | 0x3f803f80u, 0xa03fa03fu}) {
    for (uint32_t seed = 1; seed <= 200; ++seed) {
      for (const int64_t num_rows : {1, 5, 16}) {
        CAPTURE(mask);
        CAPTURE(seed);
        const Operands operands = RandomOperands(num_rows, seed, mask);
        for (const Dots dots : {Dots::kPairs, Dots::kBytes}) {
          REQUIRE_EQ(Multiply<SoftwareTiles>(operands, dots), Multiply<AmxTiles>(operands, dots));
        }
      }
    }
  }
}

}  // namespace
}  // namespace autoglm::kernels
