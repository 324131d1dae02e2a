#include <algorithm>
#include <numeric>

#include "model/decoder/decoder_rank.h"

namespace autoglm {
namespace {

// Plans the whole prompt as one sequence in blocks 0, 1, 2, ...
StepPlan PlanOf(const TraceRequest& request, int64_t block_size) {
  StepPlan plan;
  plan.token_ids = request.token_ids;
  plan.positions = request.positions;
  plan.media_rows = request.media_rows;
  plan.slots.resize(plan.token_ids.size());
  std::iota(plan.slots.begin(), plan.slots.end(), 0);
  const int32_t num_tokens = static_cast<int32_t>(plan.num_tokens());
  plan.query_starts = {0, num_tokens};
  plan.context_lens = {num_tokens};
  plan.max_blocks_per_sequence = (num_tokens + block_size - 1) / block_size;
  plan.block_tables.resize(static_cast<size_t>(plan.max_blocks_per_sequence));
  std::iota(plan.block_tables.begin(), plan.block_tables.end(), 0);
  return plan;
}

}  // namespace

std::vector<float> DecoderRank::CopyToHost(const MatrixView& x) {
  const float* rows = device_.ops->host_rows(*device_.context, x);
  return std::vector<float>(rows, rows + x.rows * x.columns);
}

Status DecoderRank::Trace(const TraceRequest& request, DecoderTrace& trace) {
  const StepPlan plan = PlanOf(request, cache_.shape().block_size);
  KvCache::Shape shape = cache_.shape();
  shape.num_blocks = plan.max_blocks_per_sequence;
  const Result<KvCache> cache = KvCache::Allocate(device_, local_, shape);
  if (!cache.ok()) return cache.status();
  const Status checked = CheckStepPlan(plan, Limits(cache.value()));
  if (!checked.ok()) return checked;
  const Status begun = Begin(plan);
  if (!begun.ok()) return begun;
  Embed(plan);

  trace = {};
  trace.hidden.push_back(CopyToHost(step_.residual));
  for (int64_t layer = 0; layer < config_.num_layers; ++layer) {
    RunLayer(layer, cache.value());
    if (layer + 1 < config_.num_layers) trace.hidden.push_back(CopyToHost(step_.residual));
  }

  std::vector<float> normed;
  std::vector<int32_t> rows(static_cast<size_t>(plan.num_tokens()));
  std::iota(rows.begin(), rows.end(), 0);
  for (size_t begin = 0; begin < rows.size(); begin += kMaxLogitRows) {
    const size_t count = std::min<size_t>(kMaxLogitRows, rows.size() - begin);
    const Result<MatrixView> logits =
        ComputeLogits(std::span<const int32_t>(rows).subspan(begin, count));
    if (!logits.ok()) return logits.status();
    if (!IsFirst()) continue;
    const std::vector<float> values = CopyToHost(logits.value());
    const std::vector<float> last = CopyToHost(step_.last.Rows(0, static_cast<int64_t>(count)));
    trace.logits.insert(trace.logits.end(), values.begin(), values.end());
    normed.insert(normed.end(), last.begin(), last.end());
  }
  trace.hidden.push_back(std::move(normed));
  return Status();
}

}  // namespace autoglm
