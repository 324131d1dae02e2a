#ifndef AUTOGLM_GRAMMAR_TOKEN_TRIE_H_
#define AUTOGLM_GRAMMAR_TOKEN_TRIE_H_

#include <cstdint>
#include <span>
#include <vector>

namespace autoglm {

// The texts of a vocabulary as a tree of bytes, in preorder: the nodes below node i are
// i + 1 .. end(i) - 1. The root is not a node; its children have depth 0.
class TokenTrie {
 public:
  // Token i has the bytes starts[i] .. starts[i + 1] - 1; a token without bytes is in no text.
  // `num_logits` is the number of rows of the decoder's head, at least the number of tokens.
  TokenTrie(std::span<const uint8_t> bytes, std::span<const uint32_t> starts, uint32_t num_logits);

  struct Node {
    uint8_t byte;
    uint32_t depth;        // bytes before this one
    uint32_t end;          // node behind the ones below
    uint32_t first_token;  // the tokens that end here are tokens()[first_token .. end_token - 1]
    uint32_t end_token;
  };

  std::span<const Node> nodes() const { return nodes_; }
  std::span<const uint32_t> tokens() const { return tokens_; }
  // Returns the bytes of a token; empty for a token that is in no text.
  std::span<const uint8_t> BytesOf(uint32_t token_id) const;
  uint32_t num_logits() const { return num_logits_; }
  // Words of a mask: token i is bit i % 32 of word i / 32.
  size_t num_mask_words() const { return (size_t{num_logits_} + 31) / 32; }
  // Bytes of the longest token.
  uint32_t max_depth() const { return max_depth_; }

 private:
  const std::vector<uint8_t> bytes_;
  const std::vector<uint32_t> starts_;  // [num_tokens + 1]
  const uint32_t num_logits_;
  uint32_t max_depth_ = 0;
  std::vector<Node> nodes_;
  std::vector<uint32_t> tokens_;  // ids in the order of their bytes
};

}  // namespace autoglm

#endif  // AUTOGLM_GRAMMAR_TOKEN_TRIE_H_
