#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "base/float_bits.h"
#include "doctest/doctest.h"
#include "kernel_levels.h"

namespace autoglm::kernels {
namespace {

// One sequence's keys and values, scattered over the blocks of a cache that is otherwise NaN.
struct Cache {
  Dtype dtype;
  int64_t num_keys;
  int64_t head_dim;
  int64_t block_size;
  std::vector<int32_t> block_table;
  std::vector<float> keys32, values32;  // [num_blocks, block_size, head_dim]
  std::vector<uint16_t> keys16, values16;

  Cache(Dtype dtype, int64_t num_keys, int64_t head_dim, int64_t block_size)
      : dtype(dtype), num_keys(num_keys), head_dim(head_dim), block_size(block_size) {
    const int64_t num_blocks = (num_keys + block_size - 1) / block_size;
    for (int64_t i = 0; i < num_blocks; ++i) {
      block_table.push_back(static_cast<int32_t>(2 * (num_blocks - 1 - i) + 1));
    }
    keys32 = Scatter(1);
    values32 = Scatter(2);
    for (const float value : keys32) keys16.push_back(FloatToBFloat16(value));
    for (const float value : values32) values16.push_back(FloatToBFloat16(value));
  }

  std::vector<float> Scatter(uint32_t seed) const {
    const size_t num_blocks = 2 * block_table.size();
    std::vector<float> cache(num_blocks * static_cast<size_t>(block_size * head_dim),
                             std::numeric_limits<float>::quiet_NaN());
    const std::vector<float> rows = RandomFloats(num_keys * head_dim, seed, 1.0f);
    for (int64_t key = 0; key < num_keys; ++key) {
      const int64_t block = block_table[static_cast<size_t>(key / block_size)];
      std::memcpy(&cache[static_cast<size_t>((block * block_size + key % block_size) * head_dim)],
                  &rows[static_cast<size_t>(key * head_dim)],
                  static_cast<size_t>(head_dim) * sizeof(float));
    }
    return cache;
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

PagedAttentionArgs ArgsOf(const Cache& cache, const Queries& queries, float* out) {
  const bool is_float32 = cache.dtype == Dtype::kFloat32;
  const int64_t row = queries.num_heads * cache.head_dim;
  return {.q = queries.q.data(),
          .q_stride = row,
          .num_queries = queries.num_queries,
          .num_heads = queries.num_heads,
          .head_dim = cache.head_dim,
          .first_position = cache.num_keys - queries.num_queries,
          .kv_dtype = cache.dtype,
          .keys = is_float32 ? static_cast<const void*>(cache.keys32.data()) : cache.keys16.data(),
          .values =
              is_float32 ? static_cast<const void*>(cache.values32.data()) : cache.values16.data(),
          .block_stride = cache.block_size * cache.head_dim,
          .token_stride = cache.head_dim,
          .block_size = cache.block_size,
          .block_table = cache.block_table.data(),
          .scale = 1.0f / std::sqrt(static_cast<float>(cache.head_dim)),
          .out = out,
          .out_stride = row};
}

// Values lie in -1..1 and probabilities sum to one, so the bound is absolute.
constexpr double kBound = 3e-6;

void CheckClose(const std::vector<float>& got, const std::vector<float>& expected) {
  REQUIRE_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::abs(got[i] - expected[i]) <= kBound) continue;
    FAIL_CHECK("element " << i << ": " << got[i] << ", expected " << expected[i]);
  }
}

void CheckPaged(const CpuKernels& kernels, const Cache& cache, const Queries& queries) {
  CAPTURE(DtypeName(cache.dtype));
  CAPTURE(cache.num_keys);
  CAPTURE(cache.head_dim);
  CAPTURE(queries.num_queries);
  CAPTURE(queries.num_heads);
  std::vector<float> expected(queries.q.size());
  ReferenceKernels().attention.paged(ArgsOf(cache, queries, expected.data()));
  GuardedArray<float> out(static_cast<int64_t>(queries.q.size()), 1);

  kernels.attention.paged(ArgsOf(cache, queries, out.data()));

  CHECK(out.IsGuardIntact());
  CheckClose(out.values(), expected);
}

TEST_CASE("Paged attention agrees with the reference for any head width") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16}) {
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
          CheckPaged(kernels, Cache(Dtype::kBfloat16, num_keys, 24, block_size),
                     Queries(num_queries, 16, 24));
        }
      }
    }
  });
}

TEST_CASE("Paged attention gives a query the same bits alone as in a batch") {
  ForEachLevel([](const CpuKernels& kernels) {
    const int64_t num_queries = 71, num_heads = 5, head_dim = 72;
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16}) {
      const Cache cache(dtype, 100, head_dim, 16);
      const Queries queries(num_queries, num_heads, head_dim);
      std::vector<float> together(queries.q.size());
      const PagedAttentionArgs all = ArgsOf(cache, queries, together.data());
      kernels.attention.paged(all);

      for (int64_t query = 0; query < num_queries; ++query) {
        for (int64_t head = 0; head < num_heads; ++head) {
          const int64_t offset = query * all.q_stride + head * head_dim;
          std::vector<float> alone(static_cast<size_t>(head_dim));
          PagedAttentionArgs one = all;
          one.q += offset;
          one.num_queries = 1;
          one.num_heads = 1;
          one.first_position += query;
          one.out = alone.data();
          kernels.attention.paged(one);

          CHECK_EQ(std::memcmp(alone.data(), together.data() + offset, alone.size() * 4), 0);
        }
      }
    }
  });
}

TEST_CASE("Paged attention never lets a later key into a query") {
  ForEachLevel([](const CpuKernels& kernels) {
    Cache cache(Dtype::kFloat32, 40, 16, 16);
    const Queries queries(40, 2, 16);
    std::vector<float> before(queries.q.size());
    kernels.attention.paged(ArgsOf(cache, queries, before.data()));

    const int64_t last = 39;
    const int64_t block = cache.block_table[static_cast<size_t>(last / 16)];
    const size_t element = static_cast<size_t>((block * 16 + last % 16) * 16);
    cache.keys32[element] = std::numeric_limits<float>::infinity();
    cache.values32[element] = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> after(queries.q.size());
    kernels.attention.paged(ArgsOf(cache, queries, after.data()));

    const size_t earlier = 39 * 2 * 16 * sizeof(float);
    CHECK_EQ(std::memcmp(before.data(), after.data(), earlier), 0);
    CHECK(std::isnan(after.back() + after[39 * 2 * 16]));
  });
}

// Sizes of one bidirectional attention.
struct FullCase {
  int64_t num_queries;
  int64_t num_keys;
  int64_t head_dim;
  int64_t first_query;
  bool has_relative;
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

  FullAttentionArgs Args(const FullCase& c, float* out) const {
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
            .out = out,
            .out_stride = c.head_dim};
  }
};

TEST_CASE("Full attention agrees with the reference, with and without relative positions") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const bool has_relative : {false, true}) {
      for (const int64_t head_dim : {1, 15, 16, 17, 53, 64, 128, 256}) {
        for (const int64_t num_keys : {1, 31, 32, 33, 101}) {
          for (const int64_t num_queries : {1, 5, 100}) {
            const FullCase c = {num_queries, num_keys, head_dim, 2, has_relative};
            CAPTURE(head_dim);
            CAPTURE(num_keys);
            CAPTURE(num_queries);
            CAPTURE(has_relative);
            const FullInputs inputs(c);
            std::vector<float> expected(static_cast<size_t>(num_queries * head_dim));
            ReferenceKernels().attention.full(inputs.Args(c, expected.data()));
            GuardedArray<float> out(num_queries * head_dim, 1);

            kernels.attention.full(inputs.Args(c, out.data()));

            CHECK(out.IsGuardIntact());
            CheckClose(out.values(), expected);
          }
        }
      }
    }
  });
}

TEST_CASE("Full attention gives a query the same bits alone as in a batch") {
  ForEachLevel([](const CpuKernels& kernels) {
    const FullCase c = {100, 77, 40, 0, true};
    const FullInputs inputs(c);
    std::vector<float> together(static_cast<size_t>(c.num_queries * c.head_dim));
    const FullAttentionArgs all = inputs.Args(c, together.data());
    kernels.attention.full(all);

    for (int64_t query = 0; query < c.num_queries; ++query) {
      std::vector<float> alone(static_cast<size_t>(c.head_dim));
      FullAttentionArgs one = all;
      one.q += query * all.q_stride;
      one.relative_q += query * all.q_stride;
      one.num_queries = 1;
      one.first_query += query;
      one.out = alone.data();
      kernels.attention.full(one);

      CHECK_EQ(std::memcmp(alone.data(), together.data() + query * c.head_dim, alone.size() * 4),
               0);
    }
  });
}

}  // namespace
}  // namespace autoglm::kernels
