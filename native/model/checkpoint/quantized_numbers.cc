// Reads the numbers of quantized matrices; quantized_layouts.cc has checked their tensors.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "model/checkpoint/quantized_layouts.h"
#include "model/checkpoint/quantized_words.h"

namespace autoglm {
namespace {

// FP8 of the type E4M3 without infinities (https://arxiv.org/abs/2209.05433).
float Fp8ToFloat(uint8_t bits) {
  const int exponent = bits >> 3 & 0xf;
  const int mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7) return std::nanf("");
  const float magnitude = exponent == 0
                              ? std::ldexp(static_cast<float>(mantissa), -9)
                              : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return bits >> 7 == 0 ? magnitude : -magnitude;
}

// Returns the eight int4 of a word, from the lowest bits up, one a byte; 8 was added to each.
uint64_t SpreadNibbles(uint32_t word) {
  uint64_t bytes = word;
  bytes = (bytes | bytes << 16) & 0x0000ffff0000ffffu;
  bytes = (bytes | bytes << 8) & 0x00ff00ff00ff00ffu;
  bytes = (bytes | bytes << 4) & 0x0f0f0f0f0f0f0f0fu;
  constexpr uint64_t kTopBits = 0x8080808080808080u;  // keep a byte's difference inside it
  return ((bytes | kTopBits) - 0x0808080808080808u) ^ kTopBits;
}

// Words of a row that a task reads together, where they lie side by side: a cache line.
constexpr int64_t kWordsPerLine = 16;

}  // namespace

const std::array<float, 256>& Fp8Floats() {
  static const std::array<float, 256> floats = [] {
    std::array<float, 256> table;
    for (int bits = 0; bits < 256; ++bits) {
      table[static_cast<size_t>(bits)] = Fp8ToFloat(static_cast<uint8_t>(bits));
    }
    return table;
  }();
  return floats;
}

void QuantizedTensors::Read(HostWeight& weight, ThreadPool& threads) const {
  if (!weight.is_scaled) return ReadFp8(weight, threads);
  if (weight.values != nullptr) return;  // int8 and fp8 are used where they lie
  weight.unpacked.resize(static_cast<size_t>(weight.rows * weight.depth));
  weight.values = weight.unpacked.data();
  if (Find(".weight_packed") != nullptr) return ReadPacked(weight, threads);
  // A word of GPTQ has eight inputs, one of AWQ eight columns.
  const StoredPlace& place = weight.place;
  const std::vector<int64_t> gptq = {DivideUp(place.depth, kNibblesPerWord), place.rows};
  const bool is_gptq = Find(".qweight")->shape == gptq;
  return is_gptq ? ReadGptq(weight, threads) : ReadAwq(weight, threads);
}

// X.weight_packed has the numbers of a row in words, the first in the lowest bits.
void QuantizedTensors::ReadPacked(HostWeight& weight, ThreadPool& threads) const {
  const StoredTensor& words = *Find(".weight_packed");
  const bool is_int8 = weight.format.type == WeightType::kInt8;
  const int64_t per_word = is_int8 ? 4 : kNibblesPerWord;
  const int64_t num_words = DivideUp(weight.depth, per_word);
  const int64_t row_words = DivideUp(weight.place.depth, per_word);
  const int64_t first_word =
      weight.place.first_row * row_words + weight.place.first_input / per_word;
  threads.ParallelFor(weight.rows, [&](int64_t row) {
    int8_t* const values = weight.unpacked.data() + row * weight.depth;
    for (int64_t i = 0; i < num_words; ++i) {
      const uint32_t word = Word(words, first_word + row * row_words + i);
      const uint64_t bytes = is_int8 ? word ^ 0x80808080u : SpreadNibbles(word);
      const int64_t count = std::min(per_word, weight.depth - i * per_word);
      std::memcpy(values + i * per_word, &bytes, static_cast<size_t>(count));
    }
  });
}

void QuantizedTensors::ReadFp8(HostWeight& weight, ThreadPool& threads) const {
  const uint8_t* const bytes = static_cast<const uint8_t*>(Find(".weight")->data);
  const StoredTensor& scales = *Find(Fp8ScaleSuffix());
  const std::vector<int64_t> shape = Fp8ScaleShape(weight);
  const bool is_tensor = shape.size() < 2;
  const StoredPlace& place = weight.place;
  const bool is_channel = shape == std::vector<int64_t>{place.rows, 1};
  const int64_t block_depth = is_tensor || is_channel ? place.depth : kFp8Block;
  const std::array<float, 256>& floats = Fp8Floats();
  weight.widened.resize(static_cast<size_t>(weight.rows * weight.depth));
  threads.ParallelFor(weight.rows, [&](int64_t i) {
    const int64_t row = place.first_row + i;
    const uint8_t* const stored = bytes + row * place.depth;
    float* next = weight.widened.data() + i * weight.depth;
    const int64_t last = place.first_input + weight.depth;
    for (int64_t begin = place.first_input, end = 0; begin < last; begin = end) {
      end = std::min((begin / block_depth + 1) * block_depth, last);
      const int64_t block = row / kFp8Block * shape.back() + begin / kFp8Block;
      const float scale = ReadFloat(scales, is_tensor ? 0 : is_channel ? row : block);
      for (int64_t input = begin; input < end; ++input) *next++ = floats[stored[input]] * scale;
    }
  });
  weight.floats = {weight.widened.data(), Dtype::kFloat32, {weight.rows, weight.depth}};
}

// X.qweight [depth / 8, rows] has eight inputs of a column in a word.
void QuantizedTensors::ReadGptq(HostWeight& weight, ThreadPool& threads) const {
  const StoredTensor& words = *Find(".qweight");
  const StoredPlace& place = weight.place;
  threads.ParallelFor(DivideUp(weight.rows, kWordsPerLine), [&](int64_t line) {
    const int64_t begin = line * kWordsPerLine;
    const int64_t end = std::min(begin + kWordsPerLine, weight.rows);
    for (int64_t d = 0; d < weight.depth; d += kNibblesPerWord) {
      const size_t count = static_cast<size_t>(std::min(kNibblesPerWord, weight.depth - d));
      for (int64_t row = begin; row < end; ++row) {
        const int64_t word = (place.first_input + d) / kNibblesPerWord * place.rows +
                             place.first_row + row;
        const uint64_t bytes = SpreadNibbles(Word(words, word));
        std::memcpy(weight.unpacked.data() + row * weight.depth + d, &bytes, count);
      }
    }
  });
}

// X.qweight [depth, rows / 8] has eight columns in a word: squares of eight by eight are turned.
void QuantizedTensors::ReadAwq(HostWeight& weight, ThreadPool& threads) const {
  constexpr int64_t kSide = kNibblesPerWord;
  const StoredTensor& words = *Find(".qweight");
  const int64_t num_words = DivideUp(weight.rows, kSide);
  const int64_t row_words = DivideUp(weight.place.rows, kSide);
  const int64_t first_word = weight.place.first_input * row_words + weight.place.first_row / kSide;
  const auto turn = [&](int64_t word, int64_t d) {
    const int64_t num_depths = std::min(kSide, weight.depth - d);
    const int64_t num_rows = std::min(kSide, weight.rows - word * kSide);
    int8_t square[kSide][kSide];
    for (int64_t i = 0; i < num_depths; ++i) {
      const uint64_t bytes = SpreadNibbles(Word(words, first_word + (d + i) * row_words + word));
      std::memcpy(square[i], &bytes, sizeof(bytes));
    }
    for (int64_t j = 0; j < num_rows; ++j) {
      int8_t* const row = weight.unpacked.data() + (word * kSide + j) * weight.depth + d;
      for (int64_t i = 0; i < num_depths; ++i) row[i] = square[i][kAwqNibbles[j]];
    }
  };
  threads.ParallelFor(DivideUp(num_words, kWordsPerLine), [&](int64_t line) {
    const int64_t end = std::min((line + 1) * kWordsPerLine, num_words);
    for (int64_t d = 0; d < weight.depth; d += kSide) {
      for (int64_t word = line * kWordsPerLine; word < end; ++word) turn(word, d);
    }
  });
}

}  // namespace autoglm
