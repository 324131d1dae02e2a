#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <vector>

#include "base/float_bits.h"
#include "doctest/doctest.h"
#include "kernel_levels.h"

namespace autoglm::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr int kMisalignments[] = {0, 1, 3};

bool IsClose(float got, float expected, double relative, double absolute) {
  if (std::isnan(expected)) return std::isnan(got);
  if (std::isinf(expected)) return got == expected;
  return std::abs(static_cast<double>(got) - expected) <= relative * std::abs(expected) + absolute;
}

void CheckClose(const std::vector<float>& got, const std::vector<float>& expected, double relative,
                double absolute) {
  REQUIRE_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (IsClose(got[i], expected[i], relative, absolute)) continue;
    FAIL_CHECK("element " << i << ": " << got[i] << ", expected " << expected[i]);
  }
}

// Returns values of all sizes that a network computes, and special values such as infinities.
std::vector<float> ActivationInputs(int64_t count) {
  std::vector<float> x = RandomFloats(count, 7, 12.0f);
  const float special[] = {0.0f,   -0.0f,  kInfinity, -kInfinity, kNan,  1e-40f,
                           -90.0f, 104.0f, -1e30f,    1e30f,      -4.0f, 0.927734375f};
  for (size_t i = 0; i < x.size() && i < std::size(special); ++i) x[x.size() - 1 - i] = special[i];
  return x;
}

// The absolute part of the bounds is for gelu, whose 1 + erf cancels if the result is near zero.
TEST_CASE("Elementwise activations agree with the reference, in place too") {
  const ElementwiseKernel ActivationKernels::* const kKernels[] = {
      &ActivationKernels::silu, &ActivationKernels::gelu_erf, &ActivationKernels::relu,
      &ActivationKernels::sigmoid};
  ForEachLevel([&](const CpuKernels& kernels) {
    for (const auto kernel : kKernels) {
      for (const int64_t count : OddLengths()) {
        for (const int misalignment : kMisalignments) {
          CAPTURE(count);
          const std::vector<float> x = ActivationInputs(count);
          std::vector<float> expected(x.size());
          (ReferenceKernels().activation.*kernel)(x.data(), expected.data(), count);
          GuardedArray<float> y(x, misalignment);

          (kernels.activation.*kernel)(y.data(), y.data(), count);

          CHECK(y.IsGuardIntact());
          CheckClose(y.values(), expected, 4e-7, 1e-6);
        }
      }
    }
  });
}

TEST_CASE("Sigmoid is within 3 units in the last place from -87 to 20") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (float x = -87.0f; x < 20.0f; x += 0.0137f) {
      float y = 0.0f;
      kernels.activation.sigmoid(&x, &y, 1);

      const double expected = 1.0 / (1.0 + std::exp(-static_cast<double>(x)));
      const float nearest = static_cast<float>(expected);
      const double unit = std::nextafter(nearest, kInfinity) - nearest;
      if (std::abs(y - expected) > 3.0 * unit) FAIL_CHECK("sigmoid(" << x << ") = " << y);
    }
  });
}

TEST_CASE("Gelu is within 1e-7 of x + |x| times 2e-7") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (float x = -12.0f; x < 12.0f; x += 0.0031f) {
      float y = 0.0f;
      kernels.activation.gelu_erf(&x, &y, 1);

      const double expected = 0.5 * x * (1.0 + std::erf(static_cast<double>(x) / std::sqrt(2.0)));
      const double bound = 1e-7 + 2e-7 * std::abs(x);
      if (std::abs(y - expected) > bound) FAIL_CHECK("gelu(" << x << ") = " << y);
    }
  });
}

TEST_CASE("Gated activations agree with the reference on rows of any width") {
  void (*const ActivationKernels::* const kKernels[])(const GatedArgs&) = {
      &ActivationKernels::silu_mul, &ActivationKernels::glu};
  ForEachLevel([&](const CpuKernels& kernels) {
    for (const auto kernel : kKernels) {
      for (const int64_t width : OddLengths()) {
        CAPTURE(width);
        const GuardedArray<float> x(ActivationInputs(3 * (2 * width + 3)), 1);
        std::vector<float> expected(static_cast<size_t>(3 * width));
        GuardedArray<float> y(3 * width, 2);
        GatedArgs args = {x.data(), 2 * width + 3, 3, width, expected.data(), width};
        (ReferenceKernels().activation.*kernel)(args);

        args.y = y.data();
        (kernels.activation.*kernel)(args);

        CHECK(y.IsGuardIntact());
        CheckClose(y.values(), expected, 6e-7, 1e-38);
      }
    }
  });
}

TEST_CASE("AddScaled agrees with the reference") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const int64_t count : OddLengths()) {
      CAPTURE(count);
      const GuardedArray<float> x(RandomFloats(count, 1, 3.0f), 1);
      std::vector<float> expected = RandomFloats(count, 2, 3.0f);
      GuardedArray<float> y(expected, 3);
      ReferenceKernels().activation.add_scaled({x.data(), 0.5f, expected.data(), count});

      kernels.activation.add_scaled({x.data(), 0.5f, y.data(), count});

      CHECK(y.IsGuardIntact());
      CheckClose(y.values(), expected, 2e-7, 3e-7);
    }
  });
}

// The reference sums in double; lanes of float32 stay within 1e-6 of it at these lengths.
TEST_CASE("Norms agree with the reference on rows of any length") {
  void (*const NormKernels::* const kKernels[])(const NormArgs&) = {
      &NormKernels::rms_norm, &NormKernels::rms_norm_residual, &NormKernels::layer_norm};
  std::vector<int64_t> lengths = OddLengths();
  lengths.push_back(4096);
  ForEachLevel([&](const CpuKernels& kernels) {
    for (const auto kernel : kKernels) {
      for (const int64_t length : lengths) {
        if (length == 0) continue;
        CAPTURE(length);
        const GuardedArray<float> x(RandomFloats(3 * length, 1, 2.0f), 1);
        const GuardedArray<float> weight(RandomFloats(length, 2, 2.0f), 3);
        const GuardedArray<float> bias(RandomFloats(length, 3, 2.0f), 2);
        std::vector<float> expected = RandomFloats(3 * length, 4, 1.0f);
        GuardedArray<float> y(expected, 1);
        NormArgs args = {x.data(), length,          3,     length, weight.data(), bias.data(),
                         1e-5f,    expected.data(), length};
        (ReferenceKernels().norm.*kernel)(args);

        args.y = y.data();
        (kernels.norm.*kernel)(args);

        CHECK(y.IsGuardIntact());
        CheckClose(y.values(), expected, 1e-6, 4e-6);
      }
    }
  });
}

TEST_CASE("Norms work in place") {
  ForEachLevel([](const CpuKernels& kernels) {
    const std::vector<float> weight = RandomFloats(77, 2, 2.0f);
    for (const auto kernel : {&NormKernels::rms_norm, &NormKernels::layer_norm}) {
      std::vector<float> x = RandomFloats(77, 1, 2.0f);
      std::vector<float> expected(77);
      NormArgs args = {x.data(), 77, 1, 77, weight.data(), nullptr, 1e-5f, expected.data(), 77};
      (kernels.norm.*kernel)(args);

      args.y = x.data();
      (kernels.norm.*kernel)(args);

      CHECK(x == expected);
    }
  });
}

TEST_CASE("Rope agrees with the reference and leaves the rest of a head alone") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const auto kernel : {&RopeKernels::interleaved, &RopeKernels::halves}) {
      for (const int64_t num_pairs : {0, 1, 3, 4, 7, 8, 9, 16, 17, 29, 32, 64}) {
        CAPTURE(num_pairs);
        const int64_t head_dim = 2 * num_pairs + 5;
        const GuardedArray<float> cos(RandomFloats(2 * num_pairs, 1, 1.0f), 1);
        const GuardedArray<float> sin(RandomFloats(2 * num_pairs, 2, 1.0f), 3);
        std::vector<float> expected = RandomFloats(2 * 3 * head_dim, 3, 4.0f);
        GuardedArray<float> x(expected, 1);
        RopeArgs args = {expected.data(), 3 * head_dim, 2,          3,
                         head_dim,        num_pairs,    cos.data(), sin.data()};
        (ReferenceKernels().rope.*kernel)(args);

        args.x = x.data();
        (kernels.rope.*kernel)(args);

        CHECK(x.IsGuardIntact());
        CheckClose(x.values(), expected, 0.0, 1e-6);
      }
    }
  });
}

TEST_CASE("Narrowing agrees with the reference bit for bit, NaN aside") {
  std::vector<float> x = RandomFloats(500, 1, 100.0f);
  for (const float value :
       {0.0f, -0.0f, kInfinity, -kInfinity, kNan, -kNan, 1e-40f, 1e-7f, 6e-8f, 3e-8f, 65504.0f,
        65519.0f, 65520.0f, 3.4e38f, 1.00390625f, 1.01171875f}) {
    x.push_back(value);
  }
  const uint32_t signalling = 0x7f800001u;
  x.push_back(std::bit_cast<float>(signalling));
  ForEachLevel([&](const CpuKernels& kernels) {
    for (const auto kernel :
         {&ConvertKernels::float32_to_bfloat16, &ConvertKernels::float32_to_float16}) {
      std::vector<uint16_t> expected(x.size());
      (ReferenceKernels().convert.*kernel)(x.data(), expected.data(),
                                           static_cast<int64_t>(x.size()));
      GuardedArray<uint16_t> y(static_cast<int64_t>(x.size()), 1);

      (kernels.convert.*kernel)(x.data(), y.data(), static_cast<int64_t>(x.size()));

      CHECK(y.IsGuardIntact());
      const bool is_half = kernel == &ConvertKernels::float32_to_float16;
      for (size_t i = 0; i < x.size(); ++i) {
        if (std::isnan(x[i])) {
          const uint16_t bits = y.data()[i];
          CHECK(std::isnan(is_half ? Float16ToFloat(bits) : BFloat16ToFloat(bits)));
        } else {
          CHECK_EQ(y.data()[i], expected[i]);
        }
      }
    }
  });
}

TEST_CASE("Narrowing to bfloat16 rounds every upper half of a float as the reference does") {
  std::vector<float> x;
  for (uint32_t upper = 0; upper < 65536; ++upper) {
    for (const uint32_t lower : {0x0000u, 0x7fffu, 0x8000u, 0x8001u}) {
      const float value = std::bit_cast<float>(upper << 16 | lower);
      if (!std::isnan(value)) x.push_back(value);
    }
  }
  const auto count = static_cast<int64_t>(x.size());
  std::vector<uint16_t> expected(x.size());
  ReferenceKernels().convert.float32_to_bfloat16(x.data(), expected.data(), count);
  ForEachLevel([&](const CpuKernels& kernels) {
    std::vector<uint16_t> y(x.size());

    kernels.convert.float32_to_bfloat16(x.data(), y.data(), count);

    CHECK(y == expected);
  });
}

TEST_CASE("Rounding to bfloat16 gives the numbers that narrowing and widening give") {
  std::vector<float> x = RandomFloats(500, 1, 100.0f);
  x.insert(x.end(), {0.0f, -0.0f, kInfinity, -kInfinity, kNan, 1e-40f, 3.4e38f, 1.00390625f});
  const auto count = static_cast<int64_t>(x.size());
  ForEachLevel([&](const CpuKernels& kernels) {
    std::vector<uint16_t> narrow(x.size());
    std::vector<float> expected(x.size());
    kernels.convert.float32_to_bfloat16(x.data(), narrow.data(), count);
    kernels.convert.bfloat16_to_float32(narrow.data(), expected.data(), count);
    GuardedArray<float> y(count, 1);

    kernels.convert.round_to_bfloat16(x.data(), y.data(), count);

    CHECK(y.IsGuardIntact());
    CHECK_EQ(std::memcmp(y.data(), expected.data(), expected.size() * sizeof(float)), 0);
  });
}

TEST_CASE("Narrowing stores exactly the elements asked for") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const int64_t count : OddLengths()) {
      const std::vector<float> x = RandomFloats(count, 1, 1.0f);
      for (const auto kernel :
           {&ConvertKernels::float32_to_bfloat16, &ConvertKernels::float32_to_float16}) {
        GuardedArray<uint16_t> y(count, 1);

        (kernels.convert.*kernel)(x.data(), y.data(), count);

        CHECK(y.IsGuardIntact());
      }
    }
  });
}

TEST_CASE("Widening every 16-bit pattern agrees with the reference") {
  std::vector<uint16_t> x(65536);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint16_t>(i);
  ForEachLevel([&](const CpuKernels& kernels) {
    for (const auto kernel :
         {&ConvertKernels::bfloat16_to_float32, &ConvertKernels::float16_to_float32}) {
      std::vector<float> expected(x.size());
      std::vector<float> y(x.size());
      (ReferenceKernels().convert.*kernel)(x.data(), expected.data(), 65536);

      (kernels.convert.*kernel)(x.data(), y.data(), 65536);

      CheckClose(y, expected, 0.0, 0.0);
    }
  });
}

TEST_CASE("Argmax finds the first of equal maxima and never NaN") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const int64_t count : OddLengths()) {
      if (count == 0) continue;
      for (const int64_t place : {int64_t{0}, count / 2, count - 1}) {
        CAPTURE(count);
        CAPTURE(place);
        GuardedArray<float> x(std::vector<float>(static_cast<size_t>(count), -3.0f), 1);
        x.data()[place] = -1.0f;
        x.data()[count - 1] = -1.0f;
        if (place > 0) x.data()[place - 1] = kNan;

        CHECK_EQ(kernels.logits.argmax(x.data(), count), place);
      }
    }
    const float none[] = {kNan, -kInfinity, kNan};
    CHECK_EQ(kernels.logits.argmax(none, 3), -1);
    CHECK_EQ(kernels.logits.argmax(none, 0), -1);
  });
}

TEST_CASE("Sums over a vocabulary agree with the reference") {
  std::vector<int64_t> lengths = OddLengths();
  lengths.push_back(151552);
  ForEachLevel([&](const CpuKernels& kernels) {
    for (const int64_t count : lengths) {
      CAPTURE(count);
      std::vector<float> x = RandomFloats(count, 5, 20.0f);
      if (count > 3) x[1] = -kInfinity;
      CHECK(IsClose(kernels.logits.log_sum_exp(x.data(), count),
                    ReferenceKernels().logits.log_sum_exp(x.data(), count), 2e-6, 1e-6));
      CHECK_EQ(kernels.logits.count_greater(x.data(), count, 0.5f),
               ReferenceKernels().logits.count_greater(x.data(), count, 0.5f));

      if (count > 4) x[2] = kNan;
      const WeightParams params = {.max_logit = 19.0f, .inverse_temperature = 1.25f};
      std::vector<float> expected = x;
      GuardedArray<float> y(x, 3);
      const double expected_sum = ReferenceKernels().logits.weigh(expected.data(), count, params);
      const double sum = kernels.logits.weigh(y.data(), count, params);

      CHECK(y.IsGuardIntact());
      CheckClose(y.values(), expected, 2e-6, 1e-38);
      CHECK(IsClose(static_cast<float>(sum), static_cast<float>(expected_sum), 2e-6, 1e-38));
      if (count > 4) CHECK_EQ(y.data()[2], 0.0f);
    }
  });
}

}  // namespace
}  // namespace autoglm::kernels
