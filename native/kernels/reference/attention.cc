#include <cmath>
#include <limits>

#include "base/float_bits.h"
#include "kernels/reference/reference.h"

namespace autoglm::kernels::reference {
namespace {

float Dot(const float* a, const float* b, int64_t count) {
  float sum = 0.0f;
  for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

// Softmax-weighted sum of values that takes one key at a time: `sum` and `weighted` are relative to
// the largest score so far.
class OnlineSoftmax {
 public:
  OnlineSoftmax(int64_t head_dim, float* weighted) : head_dim_(head_dim), weighted_(weighted) {
    for (int64_t i = 0; i < head_dim_; ++i) weighted_[i] = 0.0f;
  }

  void Add(float score, const float* value) {
    if (score > max_) {
      const float decay = std::exp(max_ - score);
      sum_ *= decay;
      for (int64_t i = 0; i < head_dim_; ++i) weighted_[i] *= decay;
      max_ = score;
    }
    const float probability = std::exp(score - max_);
    sum_ += probability;
    for (int64_t i = 0; i < head_dim_; ++i) weighted_[i] += probability * value[i];
  }

  void Normalise() {
    for (int64_t i = 0; i < head_dim_; ++i) weighted_[i] /= sum_;
  }

 private:
  int64_t head_dim_;
  float* weighted_;  // [head_dim]
  float max_ = -std::numeric_limits<float>::infinity();
  float sum_ = 0.0f;
};

// Returns one token's key or value as float32: in the cache's own memory, or as a copy in `row`.
const float* CacheRow(const PagedAttentionArgs& args, const void* cache, const float* scales,
                      int64_t position, float row[kMaxHeadDim]) {
  const int64_t block = args.block_table[position / args.block_size];
  const int64_t place = position % args.block_size;
  const int64_t offset = block * args.block_stride + place * args.token_stride;
  if (args.kv_dtype == KvDtype::kFloat32) return static_cast<const float*>(cache) + offset;
  if (args.kv_dtype == KvDtype::kInt8) {
    const uint8_t* bytes = static_cast<const uint8_t*>(cache) + offset;
    const float scale = scales[block * args.scale_stride + place];
    for (int64_t i = 0; i < args.head_dim; ++i) row[i] = static_cast<float>(bytes[i] - 128) * scale;
    return row;
  }
  const uint16_t* bits = static_cast<const uint16_t*>(cache) + offset;
  for (int64_t i = 0; i < args.head_dim; ++i) row[i] = BFloat16ToFloat(bits[i]);
  return row;
}

void Paged(const PagedAttentionArgs& args) {
  float key_row[kMaxHeadDim];
  float value_row[kMaxHeadDim];
  for (int64_t query = 0; query < args.num_queries; ++query) {
    for (int64_t head = 0; head < args.num_heads; ++head) {
      const float* q = args.q + query * args.q_stride + head * args.head_dim;
      OnlineSoftmax softmax(args.head_dim,
                            args.out + query * args.out_stride + head * args.head_dim);
      for (int64_t key = 0; key <= args.first_position + query; ++key) {
        const float* k = CacheRow(args, args.keys, args.key_scales, key, key_row);
        const float* v = CacheRow(args, args.values, args.value_scales, key, value_row);
        softmax.Add(Dot(q, k, args.head_dim) * args.scale, v);
      }
      softmax.Normalise();
    }
  }
}

void Full(const FullAttentionArgs& args) {
  for (int64_t query = 0; query < args.num_queries; ++query) {
    const float* q = args.q + query * args.q_stride;
    OnlineSoftmax softmax(args.head_dim, args.out + query * args.out_stride);
    for (int64_t key = 0; key < args.num_keys; ++key) {
      float score = Dot(q, args.keys + key * args.kv_stride, args.head_dim);
      if (args.relative_q != nullptr) {
        const int64_t distance = args.first_query + query - key;
        score += Dot(args.relative_q + query * args.q_stride,
                     args.relative_keys - distance * args.relative_stride, args.head_dim);
      }
      softmax.Add(score * args.scale, args.values + key * args.kv_stride);
    }
    softmax.Normalise();
  }
}

}  // namespace

AttentionKernels Attention() { return {.isa = "reference", .scratch_bytes = 0, .paged = Paged, .full = Full}; }

}  // namespace autoglm::kernels::reference
