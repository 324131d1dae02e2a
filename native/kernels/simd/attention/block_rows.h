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

  // Returns the rows of the block that each of `num_shares` asks for.
  int64_t RowsOfShare(int64_t num_shares) const { return (count_ + num_shares - 1) / num_shares; }
  // Asks for share `index` of so many rows. A core waits that asks for many lines at once.
  void FetchShare(int64_t index, int64_t rows_of_share, int64_t head_dim) const {
    const int64_t first = index * rows_of_share;
    if (first >= count_) return;
    const int64_t count = count_ - first < rows_of_share ? count_ - first : rows_of_share;
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
