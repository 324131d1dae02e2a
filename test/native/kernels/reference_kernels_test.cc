#include <cmath>
#include <vector>

#include "kernel_levels.h"

#include "doctest/doctest.h"

// Compares the reference kernels with their formulas, evaluated in double. Other tests compare the
// other levels with the reference.

namespace autoglm::kernels {
namespace {

TEST_CASE("Interleaved rope turns neighbours and leaves the rest of the head") {
  std::vector<float> x = {1, 2, 3, 4, 5, 6};
  const std::vector<float> cos = {0.6f, 0.0f};
  const std::vector<float> sin = {0.8f, 1.0f};

  ReferenceKernels().rope.interleaved({.x = x.data(),
                                       .row_stride = 6,
                                       .num_rows = 1,
                                       .num_heads = 1,
                                       .head_dim = 6,
                                       .num_pairs = 2,
                                       .cos = cos.data(),
                                       .sin = sin.data()});

  const std::vector<float> expected = {0.6f - 1.6f, 1.2f + 0.8f, -4.0f, 3.0f, 5.0f, 6.0f};
  for (size_t i = 0; i < x.size(); ++i) CHECK_EQ(x[i], doctest::Approx(expected[i]));
}

TEST_CASE("Rope by halves turns element i with element i + pairs") {
  std::vector<float> x = {1, 2, 3, 4};
  const std::vector<float> cos = {0.6f, 0.0f};
  const std::vector<float> sin = {0.8f, 1.0f};

  ReferenceKernels().rope.halves({.x = x.data(),
                                  .row_stride = 4,
                                  .num_rows = 1,
                                  .num_heads = 1,
                                  .head_dim = 4,
                                  .num_pairs = 2,
                                  .cos = cos.data(),
                                  .sin = sin.data()});

  const std::vector<float> expected = {0.6f - 2.4f, -4.0f, 1.8f + 0.8f, 2.0f};
  for (size_t i = 0; i < x.size(); ++i) CHECK_EQ(x[i], doctest::Approx(expected[i]));
}

// Returns the softmax-weighted sum of values for one query with given scores.
std::vector<double> NaiveAttention(const std::vector<double>& scores, const float* values,
                                   int64_t head_dim) {
  double sum = 0.0;
  std::vector<double> out(static_cast<size_t>(head_dim), 0.0);
  for (size_t key = 0; key < scores.size(); ++key) {
    const double weight = std::exp(scores[key]);
    sum += weight;
    for (int64_t i = 0; i < head_dim; ++i) {
      out[static_cast<size_t>(i)] += weight * values[static_cast<int64_t>(key) * head_dim + i];
    }
  }
  for (double& value : out) value /= sum;
  return out;
}

double Dot(const float* a, const float* b, int64_t count) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

TEST_CASE("Full attention is softmax of scaled products and relative terms, times values") {
  constexpr int64_t kNumKeys = 9;
  constexpr int64_t kHeadDim = 5;
  const std::vector<float> q = RandomFloats(kNumKeys * kHeadDim, 1, 1.0f);
  const std::vector<float> k = RandomFloats(kNumKeys * kHeadDim, 2, 1.0f);
  const std::vector<float> v = RandomFloats(kNumKeys * kHeadDim, 3, 1.0f);
  const std::vector<float> r = RandomFloats(kNumKeys * kHeadDim, 4, 1.0f);
  // Row kNumKeys - 1 - d holds the vector of distance d.
  const std::vector<float> p = RandomFloats((2 * kNumKeys - 1) * kHeadDim, 5, 1.0f);
  std::vector<float> out(q.size());

  ReferenceKernels().attention.full({.q = q.data(),
                                     .q_stride = kHeadDim,
                                     .num_queries = kNumKeys,
                                     .keys = k.data(),
                                     .values = v.data(),
                                     .kv_stride = kHeadDim,
                                     .num_keys = kNumKeys,
                                     .head_dim = kHeadDim,
                                     .scale = 0.3f,
                                     .relative_q = r.data(),
                                     .relative_keys = p.data() + (kNumKeys - 1) * kHeadDim,
                                     .relative_stride = kHeadDim,
                                     .first_query = 0,
                                     .out = out.data(),
                                     .out_stride = kHeadDim});

  for (int64_t i = 0; i < kNumKeys; ++i) {
    std::vector<double> scores;
    for (int64_t j = 0; j < kNumKeys; ++j) {
      const float* distance = p.data() + (kNumKeys - 1 - (i - j)) * kHeadDim;
      scores.push_back(0.3 * (Dot(&q[i * kHeadDim], &k[j * kHeadDim], kHeadDim) +
                              Dot(&r[i * kHeadDim], distance, kHeadDim)));
    }
    const std::vector<double> expected = NaiveAttention(scores, v.data(), kHeadDim);
    for (int64_t d = 0; d < kHeadDim; ++d) {
      CHECK_EQ(out[i * kHeadDim + d], doctest::Approx(expected[d]).epsilon(1e-5));
    }
  }
}

TEST_CASE("Paged attention finds its keys through the block table and sees none of the future") {
  constexpr int64_t kHeadDim = 4;
  constexpr int64_t kBlockSize = 3;
  const std::vector<int32_t> table = {2, 0, 1};
  const std::vector<float> cache_k = RandomFloats(3 * kBlockSize * kHeadDim, 1, 1.0f);
  const std::vector<float> cache_v = RandomFloats(3 * kBlockSize * kHeadDim, 2, 1.0f);
  const std::vector<float> q = RandomFloats(2 * kHeadDim, 3, 1.0f);
  std::vector<float> out(q.size());

  ReferenceKernels().attention.paged({.q = q.data(),
                                      .q_stride = kHeadDim,
                                      .num_queries = 2,
                                      .num_heads = 1,
                                      .head_dim = kHeadDim,
                                      .first_position = 4,
                                      .kv_dtype = KvDtype::kFloat32,
                                      .keys = cache_k.data(),
                                      .values = cache_v.data(),
                                      .block_stride = kBlockSize * kHeadDim,
                                      .token_stride = kHeadDim,
                                      .block_size = kBlockSize,
                                      .block_table = table.data(),
                                      .scale = 0.5f,
                                      .out = out.data(),
                                      .out_stride = kHeadDim});

  for (int64_t query = 0; query < 2; ++query) {
    std::vector<double> scores;
    std::vector<float> values;
    for (int64_t key = 0; key <= 4 + query; ++key) {
      const int64_t slot = table[key / kBlockSize] * kBlockSize + key % kBlockSize;
      scores.push_back(0.5 * Dot(&q[query * kHeadDim], &cache_k[slot * kHeadDim], kHeadDim));
      values.insert(values.end(), cache_v.begin() + slot * kHeadDim,
                    cache_v.begin() + (slot + 1) * kHeadDim);
    }
    const std::vector<double> expected = NaiveAttention(scores, values.data(), kHeadDim);
    for (int64_t d = 0; d < kHeadDim; ++d) {
      CHECK_EQ(out[query * kHeadDim + d], doctest::Approx(expected[d]).epsilon(1e-5));
    }
  }
}

TEST_CASE("Depthwise convolution over time pads with zeros") {
  const std::vector<float> x = {1, 10, 2, 20, 3, 30};       // [3 frames, 2 channels]
  const std::vector<float> weight = {1, 1, 0.5f, 2, 4, 3};  // [3 taps, 2 channels]
  const std::vector<float> bias = {100, 200};
  std::vector<float> y(6);

  ReferenceKernels().convolution.depthwise_1d({.x = x.data(),
                                               .num_frames = 3,
                                               .num_channels = 2,
                                               .weight = weight.data(),
                                               .kernel_size = 3,
                                               .pad_left = 1,
                                               .bias = bias.data(),
                                               .out_begin = 0,
                                               .out_end = 3,
                                               .y = y.data()});

  CHECK_EQ(y, std::vector<float>{100 + 0.5f + 8, 200 + 20 + 60, 100 + 1 + 1 + 12,
                                 200 + 10 + 40 + 90, 100 + 2 + 1.5f, 200 + 20 + 60});
}

TEST_CASE("Depthwise convolution over a plane strides and pads") {
  const std::vector<float> x = {1, 2, 3, 4, 5, 6, 7, 8, 9};  // [3, 3, 1 channel]
  const std::vector<float> weight(9, 1.0f);
  std::vector<float> y(4);

  ReferenceKernels().convolution.depthwise_2d({.x = x.data(),
                                               .height = 3,
                                               .width = 3,
                                               .num_channels = 1,
                                               .weight = weight.data(),
                                               .kernel_size = 3,
                                               .stride = 2,
                                               .padding = 1,
                                               .bias = nullptr,
                                               .out_width = 2,
                                               .out_begin = 0,
                                               .out_end = 2,
                                               .y = y.data()});

  CHECK_EQ(y, std::vector<float>{1 + 2 + 4 + 5, 2 + 3 + 5 + 6, 4 + 5 + 7 + 8, 5 + 6 + 8 + 9});
}

}  // namespace
}  // namespace autoglm::kernels
