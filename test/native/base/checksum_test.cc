#include "base/checksum.h"

#include <string>

#include "doctest/doctest.h"

namespace autoglm {
namespace {

uint64_t ChecksumOf(const std::string& text) { return Checksum(text.data(), text.size()); }

TEST_CASE("A checksum is XXH64") {
  CHECK_EQ(ChecksumOf(""), 0xef46db3751d8e999u);
  CHECK_EQ(ChecksumOf("a"), 0xd24ec4f1a98c6e5bu);
  CHECK_EQ(ChecksumOf("abc"), 0x44bc2cf5ad770999u);
  CHECK_EQ(ChecksumOf("Nobody inspects the spammish repetition"), 0xfbcea83c8a378bf1u);
}

TEST_CASE("A checksum changes with any bit, at any length") {
  for (const size_t length : {1, 3, 4, 7, 8, 31, 32, 33, 100}) {
    CAPTURE(length);
    const std::string text(length, 'x');
    for (size_t i = 0; i < length; ++i) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ 1);

      CHECK_NE(ChecksumOf(damaged), ChecksumOf(text));
    }
  }
}

}  // namespace
}  // namespace autoglm
