#include "model/decoder/rope_table.h"

#include <cmath>

namespace autoglm {

RopeTable::RopeTable(const DecoderConfig& config, int64_t num_positions, ThreadPool& threads)
    : num_positions_(num_positions),
      num_pairs_(config.num_rope_pairs),
      axis_(static_cast<size_t>(num_pairs_), 0),
      cos_(static_cast<size_t>(num_positions_ * num_pairs_)),
      sin_(cos_.size()) {
  if (config.mrope_section.has_value()) {
    // Sections divide the sequence of frequencies; a section does not start again at the first one.
    const auto& section = *config.mrope_section;
    for (int64_t i = section[0]; i < num_pairs_; ++i) {
      axis_[static_cast<size_t>(i)] = i < section[0] + section[1] ? 1 : 2;
    }
  }

  // The angle is rounded to float32, as the reference implementation does: the weights were trained
  // with these angles, which differ visibly at far positions.
  std::vector<float> frequency(static_cast<size_t>(num_pairs_));
  for (int64_t i = 0; i < num_pairs_; ++i) {
    const double exponent = static_cast<double>(i) / static_cast<double>(num_pairs_);
    frequency[static_cast<size_t>(i)] =
        static_cast<float>(1.0 / std::pow(config.rope_theta, exponent));
  }
  threads.ParallelFor(num_positions_, [&](int64_t position) {
    for (int64_t i = 0; i < num_pairs_; ++i) {
      const float angle = static_cast<float>(position) * frequency[static_cast<size_t>(i)];
      const size_t index = static_cast<size_t>(position * num_pairs_ + i);
      cos_[index] = std::cos(angle);
      sin_[index] = std::sin(angle);
    }
  });
}

void RopeTable::Lookup(std::span<const int32_t> positions, float* cos, float* sin) const {
  const int64_t num_tokens = static_cast<int64_t>(positions.size()) / 3;
  for (int64_t token = 0; token < num_tokens; ++token) {
    for (int64_t i = 0; i < num_pairs_; ++i) {
      const int64_t axis = axis_[static_cast<size_t>(i)];
      const int64_t position = positions[static_cast<size_t>(axis * num_tokens + token)];
      const size_t index = static_cast<size_t>(position * num_pairs_ + i);
      cos[token * num_pairs_ + i] = cos_[index];
      sin[token * num_pairs_ + i] = sin_[index];
    }
  }
}

}  // namespace autoglm
