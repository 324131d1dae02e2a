#include "base/float_bits.h"

#include <cmath>
#include <limits>

#include "doctest/doctest.h"

namespace autoglm {
namespace {

TEST_CASE("bfloat16 rounds to nearest, ties to even") {
  CHECK_EQ(FloatToBFloat16(1.0f), 0x3f80);
  CHECK_EQ(FloatToBFloat16(1.00390625f), 0x3f80);  // half way, the even one is below
  CHECK_EQ(FloatToBFloat16(1.01171875f), 0x3f82);  // half way, the even one is above
  CHECK_EQ(FloatToBFloat16(-2.5f), 0xc020);
}

TEST_CASE("bfloat16 keeps infinities and NaN") {
  CHECK_EQ(FloatToBFloat16(std::numeric_limits<float>::infinity()), 0x7f80);
  CHECK(std::isnan(BFloat16ToFloat(FloatToBFloat16(std::bit_cast<float>(0x7f800001u)))));
}

TEST_CASE("float16 holds every one of its values through float32 and back") {
  for (uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const float value = Float16ToFloat(static_cast<uint16_t>(bits));
    if (std::isnan(value)) continue;
    CAPTURE(bits);
    REQUIRE_EQ(FloatToFloat16(value), bits);
  }
}

TEST_CASE("float16 rounds subnormals and overflows to infinity") {
  CHECK_EQ(FloatToFloat16(0x1p-24f), 0x0001);
  CHECK_EQ(FloatToFloat16(0x1p-26f), 0x0000);
  CHECK_EQ(FloatToFloat16(65504.0f), 0x7bff);
  CHECK_EQ(FloatToFloat16(65520.0f), 0x7c00);
  CHECK(std::isnan(Float16ToFloat(FloatToFloat16(std::nanf("")))));
}

}  // namespace
}  // namespace autoglm
