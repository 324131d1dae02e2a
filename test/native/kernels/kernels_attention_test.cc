#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "base/float_bits.h"
#include "doctest/doctest.h"
#include "kernel_levels.h"

namespace autoglm::kernels {
namespace {

constexpr KvDtype kKvDtypes[] = {KvDtype::kFloat32, KvDtype::kBfloat16, KvDtype::kInt8};

// One sequence's keys or values, scattered over the blocks of a cache that is otherwise NaN.
struct CachePlane {
  std::vector<float> numbers32;  // [num_blocks, block_size, head_dim]
  std::vector<uint16_t> numbers16;
  std::vector<uint8_t> numbers8;
  std::vector<float> scales;  // [num_blocks, block_size]

  const void* data(KvDtype dtype) const {
    if (dtype == KvDtype::kFloat32) return numbers32.data();
    if (dtype == KvDtype::kBfloat16) return numbers16.data();
    return numbers8.data();
  }
};

struct Cache {
  KvDtype dtype;
  int64_t num_keys;
  int64_t head_dim;
  int64_t block_size;
  std::vector<int32_t> block_table;
  CachePlane keys, values;

  Cache(KvDtype dtype, int64_t num_keys, int64_t head_dim, int64_t block_size)
      : dtype(dtype), num_keys(num_keys), head_dim(head_dim), block_size(block_size) {
    const int64_t num_blocks = (num_keys + block_size - 1) / block_size;
    for (int64_t i = 0; i < num_blocks; ++i) {
      block_table.push_back(static_cast<int32_t>(2 * (num_blocks - 1 - i) + 1));
    }
    keys = Scatter(1);
    values = Scatter(2);
  }

  // Index of a key's row among the rows of all blocks.
  size_t RowOf(int64_t key) const {
    const int64_t block = block_table[static_cast<size_t>(key / block_size)];
    return static_cast<size_t>(block * block_size + key % block_size);
  }

  CachePlane Scatter(uint32_t seed) const {
    const size_t num_rows = 2 * block_table.size() * static_cast<size_t>(block_size);
    const size_t width = static_cast<size_t>(head_dim);
    CachePlane plane;
    plane.scales.assign(num_rows, std::numeric_limits<float>::quiet_NaN());
    plane.numbers32.assign(num_rows * width, std::numeric_limits<float>::quiet_NaN());
    plane.numbers8.assign(num_rows * width, 255);
    const std::vector<float> rows = RandomFloats(num_keys * head_dim, seed, 1.0f);
    for (int64_t key = 0; key < num_keys; ++key) {
      const float* row = &rows[static_cast<size_t>(key) * width];
      std::memcpy(&plane.numbers32[RowOf(key) * width], row, width * sizeof(float));
      plane.scales[RowOf(key)] = ReferenceKernels().convert.float32_to_uint8(
          row, &plane.numbers8[RowOf(key) * width], head_dim);
    }
    for (const float value : plane.numbers32) plane.numbers16.push_back(FloatToBFloat16(value));
    return plane;
  }
};

struct Queries {
  int64_t num_queries;
  int64_t num_heads;
  std::vector<float> q;  // [num_queries, num_heads * head_dim]

  Queries(int64_t num_queries, int64_t num_heads, int64_t head_dim)
      : num_queries(num_queries),
        num_heads(num_heads),
        q(RandomFloats(num_queries * num_heads * head_dim, 3, 2.0f)) {}
};

// Memory that a level may overwrite; NaN at first, so that nothing in it goes unwritten before it is
// read.
class Scratch {
 public:
  explicit Scratch(const CpuKernels& kernels)
      : bytes_(kernels.attention.scratch_bytes + 64, 0xff),
        data_(bytes_.data() + (64 - reinterpret_cast<uintptr_t>(bytes_.data()) % 64)) {}

  void* data() { return data_; }

 private:
  std::vector<uint8_t> bytes_;
  uint8_t* data_;
};

PagedAttentionArgs ArgsOf(const Cache& cache, const Queries& queries, float* out,
                          Scratch& scratch) {
  const int64_t row = queries.num_heads * cache.head_dim;
  return {.q = queries.q.data(),
          .q_stride = row,
          .num_queries = queries.num_queries,
          .num_heads = queries.num_heads,
          .head_dim = cache.head_dim,
          .first_position = cache.num_keys - queries.num_queries,
          .kv_dtype = cache.dtype,
          .keys = cache.keys.data(cache.dtype),
          .values = cache.values.data(cache.dtype),
          .block_stride = cache.block_size * cache.head_dim,
          .token_stride = cache.head_dim,
          .block_size = cache.block_size,
          .key_scales = cache.keys.scales.data(),
          .value_scales = cache.values.scales.data(),
          .scale_stride = cache.block_size,
          .block_table = cache.block_table.data(),
          .scale = 1.0f / std::sqrt(static_cast<float>(cache.head_dim)),
          .out = out,
          .out_stride = row,
          .scratch = scratch.data()};
}

// Values lie in -1..1 and probabilities sum to one, so bounds are absolute. A level that rounds q and
// probabilities to bfloat16, of eight bits, moves a score by up to about 0.01. Probabilities rounded to a
// byte may be off by 1 / 510 of the largest, numbers rounded to int16 by 1 / 65536.
constexpr double kBound = 3e-6;
constexpr double kRoundedBound = 8e-3;
constexpr double kByteBound = 2e-2;
constexpr double kInt16Bound = 2e-4;

// Returns true if the attention of a level multiplies bfloat16, to which it rounds its inputs.
bool RoundsToBfloat16(const CpuKernels& kernels) {
  const std::string_view isa = kernels.attention.isa;
  return isa.starts_with("amx") || isa == "avx512_bf16";
}

double BoundOf(const CpuKernels& kernels, KvDtype dtype) {
  const std::string_view isa = kernels.attention.isa;
  if (dtype == KvDtype::kFloat32 || isa == "reference") return kBound;
  if (isa.starts_with("amx")) return kRoundedBound;
  if (dtype == KvDtype::kInt8) {
    return isa == "avx512_vnni" || isa == "avx512_bf16" ? kByteBound : kInt16Bound;
  }
  return RoundsToBfloat16(kernels) ? kRoundedBound : kBound;
}

void CheckClose(const std::vector<float>& got, const std::vector<float>& expected, double bound) {
  REQUIRE_EQ(got.size(), expected.size());
  double squares = 0.0;
  for (size_t i = 0; i < got.size(); ++i) squares += std::pow(got[i] - expected[i], 2.0);
  CHECK_LE(std::sqrt(squares / static_cast<double>(got.size())), bound / 4);
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::abs(got[i] - expected[i]) <= bound) continue;
    FAIL_CHECK("element " << i << ": " << got[i] << ", expected " << expected[i]);
  }
}

void CheckPaged(const CpuKernels& kernels, const Cache& cache, const Queries& queries) {
  CAPTURE(KvDtypeName(cache.dtype));
  CAPTURE(cache.num_keys);
  CAPTURE(cache.head_dim);
  CAPTURE(queries.num_queries);
  CAPTURE(queries.num_heads);
  std::vector<float> expected(queries.q.size());
  Scratch scratch(kernels);
  ReferenceKernels().attention.paged(ArgsOf(cache, queries, expected.data(), scratch));
  GuardedArray<float> out(static_cast<int64_t>(queries.q.size()), 1);

  kernels.attention.paged(ArgsOf(cache, queries, out.data(), scratch));

  CHECK(out.IsGuardIntact());
  CheckClose(out.values(), expected, BoundOf(kernels, cache.dtype));
}

TEST_CASE("Paged attention agrees with the reference for any head width") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const KvDtype dtype : kKvDtypes) {
      for (const int64_t head_dim : {1, 7, 8, 15, 16, 17, 53, 64, 80, 128, 255, 256}) {
        CheckPaged(kernels, Cache(dtype, 45, head_dim, 16), Queries(5, 3, head_dim));
      }
    }
  });
}

TEST_CASE("Paged attention agrees with the reference for any number of keys and queries") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const int64_t num_keys : {1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 101, 500}) {
      for (const int64_t num_queries : {1, 2, 7, 40}) {
        if (num_queries > num_keys) continue;
        for (const int64_t block_size : {1, 16, 24}) {
          for (const KvDtype dtype : {KvDtype::kBfloat16, KvDtype::kInt8}) {
            CheckPaged(kernels, Cache(dtype, num_keys, 24, block_size),
                       Queries(num_queries, 16, 24));
          }
        }
      }
    }
  });
}

// Compares each row of a batch with the row alone, and each query's heads with those of the batch.
void CheckPagedBits(const CpuKernels& kernels, const Cache& cache, const Queries& queries) {
  CAPTURE(KvDtypeName(cache.dtype));
  CAPTURE(cache.head_dim);
  std::vector<float> together(queries.q.size());
  Scratch scratch(kernels);
  const PagedAttentionArgs all = ArgsOf(cache, queries, together.data(), scratch);
  kernels.attention.paged(all);

  for (int64_t query = 0; query < queries.num_queries; ++query) {
    for (int64_t head = -1; head < queries.num_heads; ++head) {  // -1: all of them
      const int64_t offset = query * all.q_stride + (head < 0 ? 0 : head * cache.head_dim);
      PagedAttentionArgs one = all;
      one.q += offset;
      one.num_queries = 1;
      one.num_heads = head < 0 ? queries.num_heads : 1;
      one.first_position += query;
      std::vector<float> alone(static_cast<size_t>(one.num_heads * cache.head_dim));
      one.out = alone.data();
      kernels.attention.paged(one);

      CHECK_EQ(std::memcmp(alone.data(), together.data() + offset, alone.size() * 4), 0);
    }
  }
}

TEST_CASE("Paged attention gives a query the same bits alone as in a batch") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const KvDtype dtype : kKvDtypes) {
      // Of whole and of partial vectors, and of keys that are packed in one span and in two.
      CheckPagedBits(kernels, Cache(dtype, 300, 72, 16), Queries(71, 5, 72));
      CheckPagedBits(kernels, Cache(dtype, 300, 96, 16), Queries(71, 5, 96));
      CheckPagedBits(kernels, Cache(dtype, 300, 256, 16), Queries(40, 3, 256));
    }
  });
}

TEST_CASE("Paged attention never lets a later key into a query") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const KvDtype dtype : kKvDtypes) {
    CAPTURE(KvDtypeName(dtype));
    Cache cache(dtype, 40, 16, 16);
    const Queries queries(40, 2, 16);
    std::vector<float> before(queries.q.size());
    Scratch scratch(kernels);
    kernels.attention.paged(ArgsOf(cache, queries, before.data(), scratch));

    const size_t last = cache.RowOf(39);
    cache.keys.numbers32[16 * last] = std::numeric_limits<float>::infinity();
    cache.values.numbers32[16 * last] = std::numeric_limits<float>::quiet_NaN();
    cache.keys.numbers16[16 * last] = 0x7f80;
    cache.values.numbers16[16 * last] = 0x7fc0;
    cache.keys.scales[last] = std::numeric_limits<float>::quiet_NaN();
    cache.values.scales[last] = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> after(queries.q.size());
    kernels.attention.paged(ArgsOf(cache, queries, after.data(), scratch));

    const size_t earlier = 39 * 2 * 16 * sizeof(float);
    CHECK_EQ(std::memcmp(before.data(), after.data(), earlier), 0);
    CHECK(std::isnan(after.back() + after[39 * 2 * 16]));
    }
  });
}

// Sizes of one bidirectional attention.
struct FullCase {
  int64_t num_queries;
  int64_t num_keys;
  int64_t head_dim;
  int64_t first_query;
  bool has_relative;
  Dtype product_dtype = Dtype::kFloat32;
};

struct FullInputs {
  std::vector<float> q, keys, values, relative_q, relative;

  explicit FullInputs(const FullCase& c)
      : q(RandomFloats(c.num_queries * (c.head_dim + 3), 1, 2.0f)),
        keys(RandomFloats(c.num_keys * (c.head_dim + 5), 2, 1.0f)),
        values(RandomFloats(c.num_keys * (c.head_dim + 5), 3, 1.0f)),
        relative_q(RandomFloats(c.num_queries * (c.head_dim + 3), 4, 2.0f)),
        relative(
            RandomFloats(2 * (c.num_keys + c.first_query + c.num_queries) * c.head_dim, 5, 1.0f)) {}

  FullAttentionArgs Args(const FullCase& c, float* out, Scratch& scratch) const {
    const int64_t center = c.first_query + c.num_queries;
    return {.q = q.data(),
            .q_stride = c.head_dim + 3,
            .num_queries = c.num_queries,
            .keys = keys.data(),
            .values = values.data(),
            .kv_stride = c.head_dim + 5,
            .num_keys = c.num_keys,
            .head_dim = c.head_dim,
            .scale = 0.2f,
            .relative_q = c.has_relative ? relative_q.data() : nullptr,
            .relative_keys = c.has_relative ? relative.data() + center * c.head_dim : nullptr,
            .relative_stride = c.head_dim,
            .first_query = c.first_query,
            .product_dtype = c.product_dtype,
            .out = out,
            .out_stride = c.head_dim,
            .scratch = scratch.data()};
  }
};

TEST_CASE("Full attention agrees with the reference, with and without relative positions") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const auto& [has_relative, dtype] : {std::pair(false, Dtype::kFloat32),
                                            std::pair(false, Dtype::kBfloat16),
                                            std::pair(true, Dtype::kBfloat16)}) {
      for (const int64_t head_dim : {1, 15, 16, 17, 53, 64, 128, 256}) {
        for (const int64_t num_keys : {1, 31, 32, 33, 101}) {
          for (const int64_t num_queries : {1, 5, 100}) {
            const FullCase c = {num_queries, num_keys, head_dim, 2, has_relative, dtype};
            CAPTURE(head_dim);
            CAPTURE(num_keys);
            CAPTURE(num_queries);
            CAPTURE(c.has_relative);
            CAPTURE(DtypeName(c.product_dtype));
            const FullInputs inputs(c);
            std::vector<float> expected(static_cast<size_t>(num_queries * head_dim));
            Scratch scratch(kernels);
            ReferenceKernels().attention.full(inputs.Args(c, expected.data(), scratch));
            GuardedArray<float> out(num_queries * head_dim, 1);

            kernels.attention.full(inputs.Args(c, out.data(), scratch));

            CHECK(out.IsGuardIntact());
            const bool is_rounded = dtype == Dtype::kBfloat16 && RoundsToBfloat16(kernels);
            // A score is a sum of twice as many products with positions.
            const double bound = has_relative ? 2 * kBound : kBound;
            CheckClose(out.values(), expected, is_rounded ? 4 * kRoundedBound : bound);
          }
        }
      }
    }
  });
}

TEST_CASE("Full attention gives a query the same bits alone as in a batch") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const FullCase& c : {FullCase{100, 77, 40, 0, true},
                              FullCase{100, 277, 40, 0, true, Dtype::kBfloat16},
                              FullCase{100, 277, 40, 0, false, Dtype::kBfloat16},
                              FullCase{2100, 70, 24, 0, false},
                              FullCase{2100, 70, 24, 0, false, Dtype::kBfloat16}}) {
    const FullInputs inputs(c);
    std::vector<float> together(static_cast<size_t>(c.num_queries * c.head_dim));
    Scratch scratch(kernels);
    const FullAttentionArgs all = inputs.Args(c, together.data(), scratch);
    kernels.attention.full(all);

    for (int64_t query = 0; query < c.num_queries; ++query) {
      std::vector<float> alone(static_cast<size_t>(c.head_dim));
      FullAttentionArgs one = all;
      one.q += query * all.q_stride;
if (c.has_relative) one.relative_q += query * all.q_stride;
      one.num_queries = 1;
      one.first_query += query;
      one.out = alone.data();
      kernels.attention.full(one);

      CHECK_EQ(std::memcmp(alone.data(), together.data() + query * c.head_dim, alone.size() * 4),
               0);
    }
    }
  });
}

}  // namespace
}  // namespace autoglm::kernels
