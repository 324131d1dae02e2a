// Fragments and copies of the emulator against plain products: the layouts are those of the PTX
// manual, "Warp-level matrix instructions".

#include <cmath>
#include <cstring>
#include <vector>

#include "base/float_bits.h"
#include "kernels/cuda/simt.h"
#include "doctest/doctest.h"

namespace autoglm::cuda {
namespace {

// Products of a [16, depth] and b [depth, 8] by one warp. Rows of a and columns of b come to shared
// memory by asynchronous copies.
template <typename Format>
struct MultiplyRows {
  using Number = typename Format::Number;
  struct Args {
    const Number* a;          // [16, depth]
    const Number* b_columns;  // [8, depth]
    typename Format::Sum* d;  // [16, 8], which the products are added to
  };
  static constexpr int kThreads = 32;
  static constexpr int kRowBytes = 32;  // of 16 or 32 numbers

  SIMT_DEVICE void operator()(const Args& args) const {
    std::byte* const a = SharedMemory();
    std::byte* const b = a + 16 * kRowBytes;
    const int lane = LaneIndex();
    CopyAsync16(a + 16 * lane, reinterpret_cast<const std::byte*>(args.a) + 16 * lane, true);
    CopyAsyncCommit();
    if (lane < 16) {
      CopyAsync16(b + 16 * lane, reinterpret_cast<const std::byte*>(args.b_columns) + 16 * lane,
                  true);
    }
    CopyAsyncCommit();
    CopyAsyncWait<0>();
    SyncWarp();
    const Fragment<4> fragment_a = LoadMatrixX4(a + lane % 16 * kRowBytes + lane / 16 * 16);
    const Fragment<2> fragment_b = LoadMatrixX2(b + lane % 8 * kRowBytes + lane / 8 % 2 * 16);
    typename Format::Sum d[4];
    for (int i = 0; i < 4; ++i) d[i] = args.d[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2];
    Format::Multiply(d, fragment_a.word, fragment_b.word);
    for (int i = 0; i < 4; ++i) args.d[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = d[i];
  }
};

struct Bf16 {
  using Number = uint16_t;
  using Sum = float;
  static Number Round(float x) { return FloatToBf16(x); }
  static float Value(Number x) { return Bf16ToFloat(x); }
  static void Multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    MmaBf16(d, a, b);
  }
};

struct F16 {
  using Number = uint16_t;
  using Sum = float;
  static Number Round(float x) { return FloatToF16(x); }
  static float Value(Number x) { return F16ToFloat(x); }
  static void Multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    MmaF16(d, a, b);
  }
};

struct Int8 {
  using Number = int8_t;
  using Sum = int;
  static Number Round(float x) { return static_cast<int8_t>(std::nearbyint(20 * x)); }
  static float Value(Number x) { return x; }
  static void Multiply(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    MmaInt8(d, a, b);
  }
};

struct Fp8 {
  using Number = uint8_t;
  using Sum = float;
  static Number Round(float x) { return FloatToFp8(x); }
  static float Value(Number x) { return Fp8ToFloat(x); }
  static void Multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    MmaFp8(d, a, b);
  }
};

std::unique_ptr<Stream> OpenStream() {
  Result<std::unique_ptr<Stream>> stream = Stream::Open(0);
  REQUIRE(stream.ok());
  return std::move(stream.value());
}

// Values on the device.
template <typename T>
DeviceBuffer CopyOf(Stream& stream, const std::vector<T>& values) {
  Result<DeviceBuffer> buffer = stream.Allocate(values.size() * sizeof(T));
  REQUIRE(buffer.ok());
  stream.CopyIn(buffer.value().data(), values.data(), values.size() * sizeof(T));
  return std::move(buffer.value());
}

template <typename T>
std::vector<T> ValuesOf(Stream& stream, const DeviceBuffer& buffer) {
  std::vector<T> values(buffer.bytes() / sizeof(T));
  stream.CopyOut(values.data(), buffer.data(), buffer.bytes());
  return values;
}

TEST_CASE_TEMPLATE("A product of fragments is the product of the matrices", Format, Bf16, F16, Int8,
                   Fp8) {
  using Number = typename Format::Number;
  using Sum = typename Format::Sum;
  constexpr size_t kDepth = 32 / sizeof(Number);
  std::vector<Number> a(16 * kDepth);
  std::vector<Number> b(8 * kDepth);
  for (size_t i = 0; i < a.size(); ++i) a[i] = Format::Round(std::sin(1.0f + 3.0f * i));
  for (size_t i = 0; i < b.size(); ++i) b[i] = Format::Round(2.0f * std::cos(5.0f * i));
  std::vector<Sum> before(16 * 8);
  for (size_t i = 0; i < before.size(); ++i) before[i] = static_cast<Sum>(i);
  const std::unique_ptr<Stream> stream = OpenStream();
  const DeviceBuffer device_a = CopyOf(*stream, a);
  const DeviceBuffer device_b = CopyOf(*stream, b);
  const DeviceBuffer d = CopyOf(*stream, before);

  Launch<MultiplyRows<Format>>(
      *stream, {}, 24 * 32, {device_a.as<Number>(), device_b.as<Number>(), d.template as<Sum>()});

  const std::vector<Sum> products = ValuesOf<Sum>(*stream, d);
  for (size_t row = 0; row < 16; ++row) {
    for (size_t column = 0; column < 8; ++column) {
      double sum = static_cast<double>(before[row * 8 + column]);
      for (size_t k = 0; k < kDepth; ++k) {
        sum += static_cast<double>(Format::Value(a[row * kDepth + k])) *
               Format::Value(b[column * kDepth + k]);
      }
      CHECK(products[row * 8 + column] == doctest::Approx(sum).epsilon(1e-5));
    }
  }
}

struct TransposeMatrices {
  struct Args {
    const uint16_t* x;  // [4, 8, 8]
    uint16_t* y;        // [4, 8, 8], each matrix transposed
  };
  static constexpr int kThreads = 32;

  SIMT_DEVICE void operator()(const Args& args) const {
    uint16_t* const rows = reinterpret_cast<uint16_t*>(SharedMemory());
    const int lane = LaneIndex();
    for (int i = 0; i < 8; ++i) rows[8 * lane + i] = args.x[8 * lane + i];
    SyncWarp();
    const Fragment<4> columns = LoadMatrixX4Transposed(rows + 8 * lane);
    for (int matrix = 0; matrix < 4; ++matrix) {
      uint16_t* const y = args.y + 64 * matrix + lane / 4 * 8 + lane % 4 * 2;
      y[0] = static_cast<uint16_t>(columns[matrix]);
      y[1] = static_cast<uint16_t>(columns[matrix] >> 16);
    }
  }
};

TEST_CASE("Matrices are loaded transposed") {
  std::vector<uint16_t> x(4 * 64);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint16_t>(i);
  const std::unique_ptr<Stream> stream = OpenStream();
  const DeviceBuffer device_x = CopyOf(*stream, x);
  const DeviceBuffer device_y = CopyOf(*stream, std::vector<uint16_t>(x.size()));

  Launch<TransposeMatrices>(*stream, {}, 512, {device_x.as<uint16_t>(), device_y.as<uint16_t>()});

  const std::vector<uint16_t> y = ValuesOf<uint16_t>(*stream, device_y);
  for (size_t matrix = 0; matrix < 4; ++matrix) {
    for (size_t i = 0; i < 64; ++i) {
      CHECK_EQ(y[64 * matrix + i], x[64 * matrix + i % 8 * 8 + i / 8]);
    }
  }
}

// Sums of rows, by shuffles of each warp and then of shared memory.
struct SumRows {
  struct Args {
    const float* x;  // [blocks, 128]
    float* sums;     // [blocks]
  };
  static constexpr int kThreads = 128;

  SIMT_DEVICE void operator()(const Args& args) const {
    float sum = args.x[BlockIndex().x * kThreads + ThreadIndex()];
    for (int mask = kWarpSize / 2; mask > 0; mask /= 2) sum += ShuffleXor(sum, mask);
    float* const sums = reinterpret_cast<float*>(SharedMemory());
    if (LaneIndex() == 0) sums[WarpIndex()] = sum;
    SyncThreads();
    if (ThreadIndex() == 0) args.sums[BlockIndex().x] = sums[0] + sums[1] + sums[2] + sums[3];
  }
};

TEST_CASE("A block sums by shuffles and shared memory, in whatever order its threads run") {
  constexpr size_t kNumRows = 37;
  std::vector<float> x(kNumRows * 128);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 129);
  const std::unique_ptr<Stream> stream = OpenStream();
  const DeviceBuffer device_x = CopyOf(*stream, x);
  const DeviceBuffer sums = CopyOf(*stream, std::vector<float>(kNumRows));

  Launch<SumRows>(*stream, {.x = kNumRows}, 16, {device_x.as<float>(), sums.as<float>()});

  const std::vector<float> actual = ValuesOf<float>(*stream, sums);
  for (size_t row = 0; row < kNumRows; ++row) {
    float expected = 0.0f;
    for (size_t i = 0; i < 128; ++i) expected += x[row * 128 + i];
    CHECK_EQ(actual[row], expected);
  }
}

// Adds what blocks found, by whichever comes last: the pattern of a sum that is split over blocks.
struct SumOfBlocks {
  struct Args {
    float* parts;   // [blocks]
    int* num_done;  // zero
    float* sum;
  };
  static constexpr int kThreads = 64;

  SIMT_DEVICE void operator()(const Args& args) const {
    int* const is_last = reinterpret_cast<int*>(SharedMemory());
    const int block = BlockIndex().x;
    const int num_blocks = BlockCount().x;
    if (ThreadIndex() == 5) args.parts[block] = static_cast<float>(block + 1);
    ThreadFence();
    SyncThreads();
    if (ThreadIndex() == 0) *is_last = AtomicAdd(args.num_done, 1) == num_blocks - 1;
    SyncThreads();
    if (*is_last == 0 || ThreadIndex() != 7) return;
    float sum = 0.0f;
    for (int i = 0; i < num_blocks; ++i) sum += args.parts[i];
    *args.sum = sum;
  }
};

TEST_CASE("The last block sees what those before it wrote, behind a fence and a counter") {
  const std::unique_ptr<Stream> stream = OpenStream();
  const DeviceBuffer parts = CopyOf(*stream, std::vector<float>(9));
  const DeviceBuffer num_done = CopyOf(*stream, std::vector<int>(1));
  const DeviceBuffer sum = CopyOf(*stream, std::vector<float>(1));

  Launch<SumOfBlocks>(*stream, {.x = 9}, 4,
                      {parts.as<float>(), num_done.as<int>(), sum.as<float>()});

  CHECK_EQ(ValuesOf<float>(*stream, sum)[0], 45.0f);
}

TEST_CASE("Numbers of eight bits are those of e4m3") {
  CHECK_EQ(Fp8ToFloat(0x7e), 448.0f);
  CHECK_EQ(Fp8ToFloat(0x01), 0x1p-9f);
  CHECK_EQ(Fp8ToFloat(0xb8), -1.0f);
  CHECK(std::isnan(Fp8ToFloat(0x7f)));
  for (int bits = 0; bits < 0x7f; ++bits) {
    const float value = Fp8ToFloat(static_cast<uint8_t>(bits));
    CHECK_EQ(FloatToFp8(value), bits);
    CHECK_EQ(FloatToFp8(-value), (bits | 0x80));
    if (bits == 0x7e) continue;
    // Halfway to the next number rounds to the even one of both.
    const float next = Fp8ToFloat(static_cast<uint8_t>(bits + 1));
    CHECK_EQ(FloatToFp8((value + next) / 2), (bits + 1) / 2 * 2);
  }
  CHECK_EQ(FloatToFp8(1000.0f), 0x7e);
}

}  // namespace
}  // namespace autoglm::cuda
