#ifndef AUTOGLM_KERNELS_SIMD_ATTENTION_BLOCK_ROWS_H_
#define AUTOGLM_KERNELS_SIMD_ATTENTION_BLOCK_ROWS_H_

#include <cstdint>

#include "kernels/simd/attention/key_rows.h"

namespace autoglm::kernels {
namespace {

// Walks keys and values in blocks of kKeyBlock from position 0, and knows where the rows of a block lie,
// and those of the next, which are fetched while this one is computed.
template <typename Rows, int64_t kKeyBlock>
class BlockRows {
 public:
  using Number = typename Rows::Number;

  BlockRows(const Rows& keys, const Rows& values, int64_t num_keys)
      : keys_(keys), values_(values), num_keys_(num_keys) {
    FindNext();
    Advance();
  }

  bool IsAtEnd() const { return count_ == 0; }
  int64_t key() const { return key_; }      // the first of the block
  int64_t count() const { return count_; }  // of keys of the block
  // [kKeyBlock]; beyond `count` the last row again.
  const Number* const* keys() const { return key_rows_[now_]; }
  const Number* const* values() const { return value_rows_[now_]; }

  // Returns the rows of the next block that each of `num_shares` asks for.
  int64_t RowsOfShare(int64_t num_shares) const {
    return (next_count_ + num_shares - 1) / num_shares;
  }
  // Asks for share `index` of the next block, of so many rows. A core waits that asks for many lines at
  // once.
  void FetchShare(int64_t index, int64_t rows_of_share, int64_t head_dim) const {
    const int64_t first = index * rows_of_share;
    if (first >= next_count_) return;
    const int64_t rest = next_count_ - first;
    const int64_t count = rest < rows_of_share ? rest : rows_of_share;
    FetchRows(key_rows_[1 - now_] + first, count, head_dim);
    FetchRows(value_rows_[1 - now_] + first, count, head_dim);
  }

  // Goes to the next block.
  void Advance() {
    key_ = next_key_;
    count_ = next_count_;
    now_ = 1 - now_;
    next_key_ += next_count_;
    FindNext();
  }

 private:
  void FindNext() {
    const int64_t rest = num_keys_ - next_key_;
    next_count_ = rest < kKeyBlock ? rest : kKeyBlock;
    if (next_count_ == 0) return;
    keys_.Find(next_key_, next_count_, kKeyBlock, key_rows_[1 - now_]);
    values_.Find(next_key_, next_count_, kKeyBlock, value_rows_[1 - now_]);
  }

  const Rows& keys_;
  const Rows& values_;
  const int64_t num_keys_;
  int64_t key_ = 0;
  int64_t count_ = 0;
  int64_t next_key_ = 0;
  int64_t next_count_ = 0;
  int now_ = 0;
  const Number* key_rows_[2][kKeyBlock];
  const Number* value_rows_[2][kKeyBlock];
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ATTENTION_BLOCK_ROWS_H_
