#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "doctest/doctest.h"
#include "kernel_levels.h"

namespace autoglm::kernels {
namespace {

constexpr int64_t kPixelBytes = 3;

// Bytes that end where memory does: a read beyond them is a fault.
class BytesAtEnd {
 public:
  explicit BytesAtEnd(const std::vector<uint8_t>& bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t whole = (bytes.size() + page - 1) / page * page;
    mapped_ = whole + page;
    memory_ = static_cast<uint8_t*>(
        mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE_NE(memory_, MAP_FAILED);
    REQUIRE_EQ(mprotect(memory_ + whole, page, PROT_NONE), 0);
    data_ = memory_ + whole - bytes.size();
    std::memcpy(data_, bytes.data(), bytes.size());
  }
  ~BytesAtEnd() { munmap(memory_, mapped_); }
  BytesAtEnd(const BytesAtEnd&) = delete;

  const uint8_t* data() const { return data_; }

 private:
  uint8_t* memory_ = nullptr;
  uint8_t* data_ = nullptr;
  size_t mapped_ = 0;
};

std::vector<uint8_t> RandomBytes(int64_t count, std::mt19937& random) {
  std::vector<uint8_t> bytes(static_cast<size_t>(count));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() % 4 == 0 ? 255 : random() % 256);
  return bytes;
}

// Weights of up to `taps` positions, for each of `count`, whose sums of bytes may lie on either side of
// a byte's range.
struct Weights {
  Weights(int64_t count, int64_t taps, std::mt19937& random)
      : stride((taps + kWeightsAtOnce - 1) / kWeightsAtOnce * kWeightsAtOnce),
        high(static_cast<size_t>(count * stride), 0),
        low(high) {
    const int32_t most = (2 << kWeightFractionBits) / static_cast<int32_t>(taps);
    std::uniform_int_distribution<int32_t> weight(-most, most);
    for (int64_t i = 0; i < count * stride; ++i) {
      if (i % stride >= taps) continue;
      const int32_t value = weight(random);
      high[static_cast<size_t>(i)] = static_cast<int16_t>(value >> kLowWeightBits);
      low[static_cast<size_t>(i)] = static_cast<int16_t>(value & ((1 << kLowWeightBits) - 1));
    }
  }
  ResizeWeights view() const { return {high.data(), low.data()}; }

  int64_t stride;
  std::vector<int16_t> high;
  std::vector<int16_t> low;
};

TEST_CASE("resize_rows makes the reference's bytes and reads no byte beyond its rows") {
  ForEachLevel([](const CpuKernels& kernels) {
    std::mt19937 random(5);
    for (const int64_t num_rows : {1, 2, 5}) {
      for (const int64_t width : {1, 2, 4, 5, 6, 7, 16, 41}) {
        for (const int64_t taps : {1, 2, 4, 5, 13, 41}) {
          if (taps > width) continue;
          CAPTURE(num_rows);
          CAPTURE(width);
          CAPTURE(taps);
          const BytesAtEnd in(RandomBytes(num_rows * width * kPixelBytes, random));
          const int64_t out_width = width - taps + 1;
          const Weights weights(out_width, taps, random);
          std::vector<int64_t> first;
          for (int64_t o = 0; o < out_width; ++o) first.push_back(o);
          const std::vector<int64_t> all_taps(first.size(), taps);
          std::vector<uint8_t> expected(static_cast<size_t>(num_rows * out_width * kPixelBytes));
          GuardedArray<uint8_t> out(num_rows * out_width * kPixelBytes, 1);
          ResizeRowsArgs args = {.in = in.data(),
                                 .in_width = width,
                                 .num_rows = num_rows,
                                 .out_width = out_width,
                                 .first = first.data(),
                                 .taps = all_taps.data(),
                                 .weights = weights.view(),
                                 .weight_stride = weights.stride,
                                 .out = expected.data()};
          ReferenceKernels().image.resize_rows(args);

          args.out = out.data();
          kernels.image.resize_rows(args);

          CHECK(out.IsGuardIntact());
          CHECK_EQ(out.values(), expected);
        }
      }
    }
  });
}

TEST_CASE("blend_rows makes the reference's bytes and reads no byte beyond its rows") {
  ForEachLevel([](const CpuKernels& kernels) {
    std::mt19937 random(6);
    for (const int64_t num_rows : {1, 2, 7, 40}) {
      for (const int64_t row_bytes : {3, 9, 24, 31, 32, 33, 75, 576}) {
        CAPTURE(num_rows);
        CAPTURE(row_bytes);
        const BytesAtEnd rows(RandomBytes(num_rows * row_bytes, random));
        const Weights weights(1, num_rows, random);
        std::vector<uint8_t> expected(static_cast<size_t>(row_bytes));
        GuardedArray<uint8_t> out(row_bytes, 1);
        BlendRowsArgs args = {.rows = rows.data(),
                              .num_rows = num_rows,
                              .row_bytes = row_bytes,
                              .weights = weights.view(),
                              .out = expected.data()};
        ReferenceKernels().image.blend_rows(args);

        args.out = out.data();
        kernels.image.blend_rows(args);

        CHECK(out.IsGuardIntact());
        CHECK_EQ(out.values(), expected);
      }
    }
  });
}

}  // namespace
}  // namespace autoglm::kernels
