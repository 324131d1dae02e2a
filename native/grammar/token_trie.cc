#include "grammar/token_trie.h"

#include <algorithm>

#include "base/check.h"

namespace autoglm {

TokenTrie::TokenTrie(std::span<const uint8_t> bytes, std::span<const uint32_t> starts,
                     uint32_t num_logits)
    : bytes_(bytes.begin(), bytes.end()),
      starts_(starts.begin(), starts.end()),
      num_logits_(num_logits) {
  CHECK(!starts_.empty() && starts_.back() <= bytes_.size());
  const uint32_t num_tokens = static_cast<uint32_t>(starts_.size() - 1);
  for (uint32_t id = 0; id < num_tokens; ++id) {
    if (!BytesOf(id).empty()) tokens_.push_back(id);
  }
  std::sort(tokens_.begin(), tokens_.end(), [this](uint32_t a, uint32_t b) {
    const std::span<const uint8_t> left = BytesOf(a);
    const std::span<const uint8_t> right = BytesOf(b);
    if (std::equal(left.begin(), left.end(), right.begin(), right.end())) return a < b;
    return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end());
  });

  std::vector<uint32_t> path;  // nodes from the root to the one before
  std::span<const uint8_t> previous;
  const auto close = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back()) {
      nodes_[path.back()].end = static_cast<uint32_t>(nodes_.size());
    }
  };
  for (uint32_t i = 0; i < tokens_.size(); ++i) {
    const std::span<const uint8_t> token = BytesOf(tokens_[i]);
    const size_t shared = static_cast<size_t>(
        std::mismatch(token.begin(), token.end(), previous.begin(), previous.end()).first -
        token.begin());
    close(shared);
    for (size_t depth = shared; depth < token.size(); ++depth) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({.byte = token[depth],
                        .depth = static_cast<uint32_t>(depth),
                        .end = 0,
                        .first_token = i,
                        .end_token = i});
    }
    nodes_[path.back()].end_token = i + 1;
    max_depth_ = std::max(max_depth_, static_cast<uint32_t>(token.size()));
    previous = token;
  }
  close(0);
}

std::span<const uint8_t> TokenTrie::BytesOf(uint32_t token_id) const {
  if (size_t{token_id} + 1 >= starts_.size()) return {};
  const uint32_t start = starts_[token_id];
  return std::span<const uint8_t>(bytes_).subspan(start, starts_[token_id + 1] - start);
}

}  // namespace autoglm
