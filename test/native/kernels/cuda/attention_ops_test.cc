#include "kernels/cuda/cuda_context.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/device_arrays.h"
#include "kernels/kernel_levels.h"
#include "doctest/doctest.h"
#include "kernels/kernel_levels.h"

namespace autoglm::cuda {
namespace {

using kernels::RandomFloats;

constexpr KvDtype kKvDtypes[] = {KvDtype::kFloat32, KvDtype::kBfloat16, KvDtype::kInt8};

// Opens a device with so much scratch for attention.
std::unique_ptr<CudaContext> Open(size_t scratch_bytes) {
  Result<std::unique_ptr<Stream>> stream = Stream::Open(0);
  REQUIRE(stream.ok());
  auto context = std::make_unique<CudaContext>(std::move(stream.value()));
  Result<DeviceBuffer> scratch = context->stream().Allocate(scratch_bytes);
  REQUIRE(scratch.ok());
  context->attention_scratch = std::move(scratch.value());
  return context;
}

Ops OpsOf() {
  Ops ops = {};
  SetAttentionOps(ops);
  return ops;
}

constexpr size_t kEnough = size_t{8} << 20;

// Queries of one sequence at the end of its context.
struct Sequence {
  int32_t num_queries;
  int32_t context;
};

struct PagedCase {
  KvDtype dtype;
  int64_t head_dim;
  int64_t num_heads;
  int64_t num_kv_heads;
  int64_t block_size;
  std::vector<Sequence> sequences;
};

// A cache in host memory that holds NaN, or zeros in int8, where no token of the case is.
struct PagedInputs {
  PagedCase c;
  KvCacheView cache;
  int64_t num_blocks = 1;
  int64_t blocks_per_sequence = 0;
  std::vector<uint8_t> keys, values;
  std::vector<int32_t> query_starts = {0};
  std::vector<int32_t> context_lens;
  std::vector<int32_t> block_tables;
  std::vector<float> q;  // [queries, num_heads * head_dim]

  explicit PagedInputs(const PagedCase& paged) : c(paged) {
    for (const Sequence& sequence : c.sequences) {
      query_starts.push_back(query_starts.back() + sequence.num_queries);
      context_lens.push_back(sequence.context);
      blocks_per_sequence =
          std::max<int64_t>(blocks_per_sequence, (sequence.context - 1) / c.block_size + 1);
    }
    // Blocks lie in reverse order, with a gap behind each.
    for (size_t i = 0; i < c.sequences.size() * static_cast<size_t>(blocks_per_sequence); ++i) {
      block_tables.push_back(static_cast<int32_t>(num_blocks));
      num_blocks += 2;
    }
    std::reverse(block_tables.begin(), block_tables.end());
    cache = {nullptr, nullptr, c.dtype, c.num_kv_heads, c.block_size, c.head_dim};
    keys.assign(static_cast<size_t>(num_blocks * cache.BlockBytes()), 0xff);
    values = keys;
    Store();
    q = RandomFloats(query_starts.back() * c.num_heads * c.head_dim, 3, 2.0f);
  }

  int64_t SlotOf(size_t sequence, int64_t position) const {
    const size_t entry = sequence * static_cast<size_t>(blocks_per_sequence) +
                         static_cast<size_t>(position / c.block_size);
    return block_tables[entry] * c.block_size + position % c.block_size;
  }

  void Store() {
    const Device cpu = OpenReference();
    for (size_t i = 0; i < c.sequences.size(); ++i) {
      const int64_t count = c.sequences[i].context;
      const int64_t width = c.num_kv_heads * c.head_dim;
      std::vector<float> k = RandomFloats(count * width, 10 + 2 * static_cast<uint32_t>(i), 1.0f);
      std::vector<float> v = RandomFloats(count * width, 11 + 2 * static_cast<uint32_t>(i), 1.0f);
      std::vector<int32_t> slots;
      for (int64_t position = 0; position < count; ++position) {
        slots.push_back(static_cast<int32_t>(SlotOf(i, position)));
      }
      cpu.ops->store_kv(*cpu.context, {.keys = DenseMatrix(k.data(), count, width),
                                       .values = DenseMatrix(v.data(), count, width),
                                       .slots = slots.data(),
                                       .cache = HostCache()});
    }
  }

  KvCacheView HostCache() {
    KvCacheView host = cache;
    host.keys = keys.data();
    host.values = values.data();
    return host;
  }

  static Device OpenReference() {
    Result<Device> device = cpu::OpenCpu(kernels::ReferenceKernels(), {});
    REQUIRE(device.ok());
    return std::move(device.value());
  }

  PagedAttentionOp Op(float* q_rows, float* out) const {
    const int64_t columns = c.num_heads * c.head_dim;
    return {.q = DenseMatrix(q_rows, query_starts.back(), columns),
            .num_heads = c.num_heads,
            .cache = cache,
            .num_sequences = static_cast<int64_t>(c.sequences.size()),
            .query_starts = nullptr,
            .context_lens = nullptr,
            .block_tables = nullptr,
            .max_blocks_per_sequence = blocks_per_sequence,
            .scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim)),
            .out = DenseMatrix(out, query_starts.back(), columns)};
  }

  std::vector<float> OnReference() {
    const Device cpu = OpenReference();
    std::vector<float> out(q.size());
    PagedAttentionOp op = Op(q.data(), out.data());
    op.cache = HostCache();
    op.query_starts = query_starts.data();
    op.context_lens = context_lens.data();
    op.block_tables = block_tables.data();
    cpu.ops->paged_attention(*cpu.context, op);
    return out;
  }

  std::vector<float> OnGpu(CudaContext& context) const {
    Stream& stream = context.stream();
    const DeviceArray<uint8_t> device_keys(stream, keys);
    const DeviceArray<uint8_t> device_values(stream, values);
    const DeviceArray<int32_t> starts(stream, query_starts);
    const DeviceArray<int32_t> lens(stream, context_lens);
    const DeviceArray<int32_t> tables(stream, block_tables);
    const DeviceArray<float> rows(stream, q);
    const DeviceArray<float> out(stream, q.size());
    PagedAttentionOp op = Op(rows.data(), out.data());
    op.cache.keys = device_keys.data();
    op.cache.values = device_values.data();
    op.query_starts = starts.data();
    op.context_lens = lens.data();
    op.block_tables = tables.data();
    OpsOf().paged_attention(context, op);
    return out.Read();
  }
};

// Values lie in -1..1 and probabilities sum to one, so bounds are absolute. q and probabilities of
// bfloat16, of eight bits, move a score by up to about 0.01.
constexpr double kBound = 3e-6;
constexpr double kRoundedBound = 1e-2;

void CheckClose(const std::vector<float>& got, const std::vector<float>& expected, double bound) {
  REQUIRE_EQ(got.size(), expected.size());
  double squares = 0.0;
  for (size_t i = 0; i < got.size(); ++i) squares += std::pow(got[i] - expected[i], 2.0);
  CHECK_LE(std::sqrt(squares / static_cast<double>(got.size())), bound / 4);
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::abs(got[i] - expected[i]) <= bound) continue;
    FAIL_CHECK("element " << i << ": " << got[i] << ", expected " << expected[i]);
    return;
  }
}

void CheckPaged(const PagedCase& c) {
  CAPTURE(KvDtypeName(c.dtype));
  CAPTURE(c.head_dim);
  CAPTURE(c.num_heads);
  CAPTURE(c.num_kv_heads);
  CAPTURE(c.block_size);
  const auto context = Open(kEnough);
  PagedInputs inputs(c);

  CheckClose(inputs.OnGpu(*context), inputs.OnReference(),
             c.dtype == KvDtype::kFloat32 ? kBound : kRoundedBound);
}

TEST_CASE("Paged attention of a GPU agrees with the reference for any head width") {
  for (const KvDtype dtype : kKvDtypes) {
    for (const int64_t head_dim : {1, 7, 16, 53, 64, 80, 128, 255, 256}) {
      CheckPaged({dtype, head_dim, 3, 1, 16, {{1, 21}, {7, 37}}});
    }
  }
}

TEST_CASE("Paged attention of a GPU agrees with the reference for any heads that share keys") {
  for (const auto& [num_heads, num_kv_heads] :
       {std::pair(1, 1), std::pair(4, 4), std::pair(6, 2), std::pair(32, 2), std::pair(71, 1)}) {
    CheckPaged({KvDtype::kBfloat16, 24, num_heads, num_kv_heads, 16, {{1, 40}, {5, 19}}});
    CheckPaged({KvDtype::kFloat32, 24, num_heads, num_kv_heads, 16, {{1, 40}, {5, 19}}});
  }
}

TEST_CASE("Paged attention of a GPU agrees with the reference for any number of keys and queries") {
  for (const KvDtype dtype : kKvDtypes) {
    for (const int64_t block_size : {1, 16, 24}) {
      CheckPaged({dtype, 24, 2, 1, block_size, {{1, 1}, {2, 31}, {40, 63}, {1, 64}, {3, 255}}});
      CheckPaged({dtype, 24, 2, 1, block_size, {{70, 257}, {1, 520}}});
    }
  }
}

TEST_CASE("Paged attention of a GPU gives a query the same bits however a step is put together") {
  constexpr int32_t kContext = 530, kQueries = 20;
  constexpr int64_t kNumHeads = 3;
  for (const KvDtype dtype : kKvDtypes) {
    for (const int64_t head_dim : {40, 136}) {
      if (dtype == KvDtype::kInt8 && head_dim == 136) continue;
      CAPTURE(KvDtypeName(dtype));
      CAPTURE(head_dim);
      // Sequence 0 has all queries at once; its keys are the same in all cases.
      const PagedCase together = {dtype, head_dim, kNumHeads, 1, 16,
                                  {{kQueries, kContext}, {1, 300}}};
      const PagedInputs all(together);
      const size_t width = static_cast<size_t>(kNumHeads * head_dim);
      const auto with_segments = Open(kEnough);
      const auto without_segments = Open(256);
      const std::vector<float> expected = all.OnGpu(*with_segments);

      CHECK_EQ(all.OnGpu(*without_segments), expected);
      for (const int32_t query : {0, kQueries - 1}) {
        CAPTURE(query);
        PagedInputs alone = all;
        alone.query_starts = {0, 1};
        alone.context_lens = {kContext - kQueries + 1 + query};
        alone.c.sequences.resize(1);
        alone.q.assign(all.q.begin() + query * static_cast<int64_t>(width),
                       all.q.begin() + (query + 1) * static_cast<int64_t>(width));
        const std::vector<float> row(expected.begin() + query * static_cast<int64_t>(width),
                                     expected.begin() + (query + 1) * static_cast<int64_t>(width));

        CHECK_EQ(alone.OnGpu(*with_segments), row);
        CHECK_EQ(alone.OnGpu(*without_segments), row);
      }
    }
  }
}

TEST_CASE("Paged attention of a GPU never lets a later key into a query") {
  const auto context = Open(kEnough);
  for (const KvDtype dtype : kKvDtypes) {
    CAPTURE(KvDtypeName(dtype));
    PagedInputs inputs({dtype, 16, 2, 1, 16, {{40, 40}}});
    const std::vector<float> before = inputs.OnGpu(*context);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> bad(16, nan);
    const int32_t slot = static_cast<int32_t>(inputs.SlotOf(0, 39));
    const Device cpu = PagedInputs::OpenReference();
    cpu.ops->store_kv(*cpu.context, {.keys = DenseMatrix(bad.data(), 1, 16),
                                     .values = DenseMatrix(bad.data(), 1, 16),
                                     .slots = &slot,
                                     .cache = inputs.HostCache()});

    const std::vector<float> after = inputs.OnGpu(*context);

    CHECK_EQ(std::memcmp(before.data(), after.data(), 39 * 2 * 16 * sizeof(float)), 0);
    for (size_t i = 39 * 2 * 16; i < after.size(); ++i) CHECK(std::isnan(after[i]));
  }
}

struct FullCase {
  int64_t num_queries;
  int64_t num_keys;
  int64_t num_heads;
  int64_t head_dim;
  bool has_relative;
  Dtype product_dtype;
};

// Rows of q, keys, values and relative_q lie beside each other, as a projection writes them.
struct FullInputs {
  FullCase c;
  int64_t columns;
  int64_t stride;
  std::vector<float> rows;      // [max(queries, keys), stride]
  std::vector<float> relative;  // [queries + keys - 1, columns]

  explicit FullInputs(const FullCase& full)
      : c(full),
        columns(c.num_heads * c.head_dim),
        stride(4 * columns + 3),
        rows(RandomFloats(std::max(c.num_queries, c.num_keys) * stride, 1, 1.5f)),
        relative(RandomFloats((c.num_queries + c.num_keys - 1) * columns, 2, 1.0f)) {}

  FullAttentionOp Op(float* x, const float* distances, float* out) const {
    const auto view = [&](int64_t index, int64_t count) {
      return MatrixView{x + index * columns, count, columns, stride};
    };
    // The row of distance 0 lies behind those of the larger ones.
    const float* zero = distances + (c.num_queries - 1) * columns;
    return {.q = view(0, c.num_queries),
            .keys = view(1, c.num_keys),
            .values = view(2, c.num_keys),
            .num_heads = c.num_heads,
            .scale = 0.2f,
            .relative_q = c.has_relative ? view(3, c.num_queries) : MatrixView{},
            .relative_keys = c.has_relative ? zero : nullptr,
            .relative_stride = columns,
            .product_dtype = c.product_dtype,
            .out = DenseMatrix(out, c.num_queries, columns)};
  }

  std::vector<float> OnReference() {
    const Device cpu = PagedInputs::OpenReference();
    std::vector<float> out(static_cast<size_t>(c.num_queries * columns));
    cpu.ops->full_attention(*cpu.context, Op(rows.data(), relative.data(), out.data()));
    return out;
  }

  // Runs queries first .. first + count - 1 of the operation.
  std::vector<float> OnGpu(CudaContext& context, int64_t first, int64_t count) const {
    const DeviceArray<float> x(context.stream(), rows);
    const DeviceArray<float> distances(context.stream(), relative);
    const DeviceArray<float> out(context.stream(), static_cast<size_t>(count * columns));
    FullAttentionOp op = Op(x.data(), distances.data(), out.data());
    op.q = op.q.Rows(first, count);
    op.out.rows = count;
    if (c.has_relative) {
      op.relative_q = op.relative_q.Rows(first, count);
      op.relative_keys -= first * columns;
    }
    OpsOf().full_attention(context, op);
    return out.Read();
  }
};

void CheckFull(const FullCase& c) {
  CAPTURE(c.num_queries);
  CAPTURE(c.num_keys);
  CAPTURE(c.head_dim);
  CAPTURE(c.has_relative);
  CAPTURE(DtypeName(c.product_dtype));
  FullInputs inputs(c);
  const auto context = Open(kEnough);
  const bool is_rounded =
      c.product_dtype == Dtype::kBfloat16 && (!c.has_relative || c.head_dim <= 128);

  CheckClose(inputs.OnGpu(*context, 0, c.num_queries), inputs.OnReference(),
             is_rounded ? 4 * kRoundedBound : kBound);
}

TEST_CASE("Full attention of a GPU agrees with the reference") {
  for (const int64_t head_dim : {1, 15, 53, 64, 128, 256}) {
    for (const int64_t num_keys : {1, 33, 101}) {
      for (const int64_t num_queries : {1, 70}) {
        CheckFull({num_queries, num_keys, 3, head_dim, false, Dtype::kBfloat16});
      }
    }
    CheckFull({37, 101, 2, head_dim, false, Dtype::kFloat32});
  }
  CheckFull({140, 300, 1, 64, false, Dtype::kBfloat16});
}

TEST_CASE("Full attention of a GPU agrees with the reference on relative positions") {
  for (const int64_t head_dim : {1, 36, 128, 200}) {
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16}) {
      CheckFull({1, 1, 2, head_dim, true, dtype});
      CheckFull({45, 45, 2, head_dim, true, dtype});
    }
  }
  CheckFull({70, 150, 1, 80, true, Dtype::kBfloat16});
  CheckFull({270, 270, 1, 16, true, Dtype::kFloat32});
}

TEST_CASE("Full attention of a GPU gives a query the same bits alone as in a batch") {
  for (const auto& [has_relative, dtype] :
       {std::pair(false, Dtype::kFloat32), std::pair(false, Dtype::kBfloat16),
        std::pair(true, Dtype::kBfloat16)}) {
    CAPTURE(DtypeName(dtype));
    CAPTURE(has_relative);
    const FullInputs inputs({150, 277, 2, 40, has_relative, dtype});
    const size_t width = static_cast<size_t>(inputs.columns);
    const auto context = Open(kEnough);
    const auto little_scratch = Open(256);
    const std::vector<float> together = inputs.OnGpu(*context, 0, 150);

    if (!has_relative) CHECK_EQ(inputs.OnGpu(*little_scratch, 0, 150), together);
    for (const int64_t query : {0, 77, 149}) {
      const std::vector<float> alone = inputs.OnGpu(*context, query, 1);
      CHECK_EQ(std::memcmp(alone.data(), &together[static_cast<size_t>(query) * width],
                           width * sizeof(float)),
               0);
    }
  }
}

}  // namespace
}  // namespace autoglm::cuda
