#ifndef AUTOGLM_KERNELS_SIMD_ATTENTION_BLOCK_ROWS_H_
#define AUTOGLM_KERNELS_SIMD_ATTENTION_BLOCK_ROWS_H_

#include <cstdint>

#include "kernels/simd/attention/key_rows.h"

namespace autoglm::kernels {
namespace {

// Where the keys and values of a block of at most kKeyBlock lie.
template <typename Rows, int64_t kKeyBlock>
class BlockRows {
 public:
  using Number = typename Rows::Number;

  // Finds the block from `key` on; it is empty where there is no such key.
  void Find(const Rows& keys, const Rows& values, int64_t key, int64_t num_keys) {
    const int64_t rest = num_keys - key;
    count_ = rest < 0 ? 0 : rest < kKeyBlock ? rest : kKeyBlock;
    if (count_ == 0) return;
    keys.Find(key, count_, kKeyBlock, keys_);
    values.Find(key, count_, kKeyBlock, values_);
  }

  int64_t count() const { return count_; }
  // [kKeyBlock]; beyond `count` the last row again.
  const Number* const* keys() const { return keys_; }
  const Number* const* values() const { return values_; }

  // Asks for share `index` of `num_shares` of the block. A core waits that asks for many lines at once.
  void FetchShare(int64_t index, int64_t num_shares, int64_t head_dim) const {
    const int64_t first = count_ * index / num_shares;
    const int64_t count = count_ * (index + 1) / num_shares - first;
    FetchRows(keys_ + first, count, head_dim);
    FetchRows(values_ + first, count, head_dim);
  }

 private:
  int64_t count_ = 0;
  const Number* keys_[kKeyBlock];
  const Number* values_[kKeyBlock];
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ATTENTION_BLOCK_ROWS_H_
