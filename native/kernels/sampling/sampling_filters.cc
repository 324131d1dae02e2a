#include "kernels/sampling/sampling_filters.h"

#include <algorithm>

namespace autoglm {
namespace {

// Orders the likelier candidate first, and the lower id first among equals.
bool IsBefore(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.token_id < b.token_id;
}

double Sum(std::span<const Candidate> candidates) {
  double sum = 0.0;
  for (const Candidate& candidate : candidates) sum += candidate.weight;
  return sum;
}

// Keeps the k likeliest, and every token as likely as the last of them.
void KeepTopK(uint32_t k, std::vector<Candidate>& candidates) {
  if (k == 0 || k >= candidates.size()) return;
  std::nth_element(candidates.begin(), candidates.begin() + (k - 1), candidates.end(), IsBefore);
  const float threshold = candidates[k - 1].weight;
  std::erase_if(candidates, [&](const Candidate& c) { return c.weight < threshold; });
  // The candidates are sorted by id, because drawing walks them in that order and nth_element
  // leaves them in none.
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.token_id < b.token_id; });
}

// Keeps the smallest set of likeliest tokens whose probability reaches p.
void KeepTopP(float p, std::vector<Candidate>& candidates) {
  if (p >= 1.0f) return;
  const double total = Sum(candidates);
  // The last token kept and all less likely ones have together more than 1 - p, and each of them is
  // at most as likely as the last token kept. So a token with less than (1 - p) / n can be dropped
  // before sorting.
  const double floor = (1.0 - p) * total / static_cast<double>(candidates.size());
  std::erase_if(candidates, [&](const Candidate& c) { return c.weight < floor; });
  std::sort(candidates.begin(), candidates.end(), IsBefore);
  double sum = 0.0;
  size_t kept = 0;
  while (kept < candidates.size() && (kept == 0 || sum < p * total)) {
    sum += candidates[kept].weight;
    ++kept;
  }
  candidates.resize(kept);
}

}  // namespace

bool HasFilters(const SampleParams& params) {
  return params.min_p > 0.0f || params.top_k != 0 || params.top_p < 1.0f;
}

double FilterCandidates(std::span<const float> weights, const SampleParams& params,
                        std::vector<Candidate>& candidates) {
  candidates.clear();
  for (size_t i = 0; i < weights.size(); ++i) {
    // The likeliest weight is 1, so min-p compares with the weight itself.
    if (weights[i] > 0.0f && weights[i] >= params.min_p) {
      candidates.push_back({static_cast<uint32_t>(i), weights[i]});
    }
  }
  KeepTopK(params.top_k, candidates);
  KeepTopP(params.top_p, candidates);
  return Sum(candidates);
}

}  // namespace autoglm
