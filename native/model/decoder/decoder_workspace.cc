#include "model/decoder/decoder_workspace.h"

#include <algorithm>
#include <utility>

namespace autoglm {
namespace {

constexpr int64_t kAlignmentValues = 16;  // one cache line

struct Field {
  MatrixView DecoderActivations::* view;
  int64_t rows;
  int64_t columns;

  int64_t NumValues() const {
    return (rows * columns + kAlignmentValues - 1) / kAlignmentValues * kAlignmentValues;
  }
};

}  // namespace

Result<DecoderWorkspace> DecoderWorkspace::Allocate(const Device& device,
                                                    const DecoderConfig& config,
                                                    int64_t max_num_tokens) {
  const int64_t q_columns = config.num_heads * config.head_dim;
  const int64_t kv_columns = config.num_kv_heads * config.head_dim;
  const int64_t num_tokens = max_num_tokens;
  const Field fields[] = {
      {&DecoderActivations::residual, num_tokens, config.hidden_size},
      {&DecoderActivations::normed, num_tokens, config.hidden_size},
      {&DecoderActivations::qkv, num_tokens, q_columns + 2 * kv_columns},
      {&DecoderActivations::attention, num_tokens, q_columns},
      {&DecoderActivations::gate_up, num_tokens, 2 * config.intermediate_size},
      {&DecoderActivations::mlp, num_tokens, config.intermediate_size},
      {&DecoderActivations::projected, num_tokens, config.hidden_size},
      {&DecoderActivations::last, kMaxLogitRows, config.hidden_size},
      {&DecoderActivations::logits, kMaxLogitRows, config.vocab_size},
  };
  int64_t num_values = 0;
  int64_t largest_input = 0;
  for (const Field& field : fields) {
    num_values += field.NumValues();
    // Every activation but the logits may be the input of a matrix product.
    if (field.view != &DecoderActivations::logits) {
      largest_input = std::max(largest_input, field.NumValues());
    }
  }
  const Status reserved = device.ops->reserve_gemm_input(*device.context, largest_input);
  if (!reserved.ok()) return reserved;
  Result<DeviceBuffer> memory =
      device.ops->allocate(*device.context, static_cast<size_t>(num_values) * sizeof(float));
  if (!memory.ok()) return memory.status();

  DecoderWorkspace workspace;
  workspace.memory_ = std::move(memory.value());
  float* next = workspace.memory_.as<float>();
  for (const Field& field : fields) {
    workspace.largest_.*field.view = DenseMatrix(next, field.rows, field.columns);
    next += field.NumValues();
  }
  return workspace;
}

DecoderActivations DecoderWorkspace::ForTokens(int64_t num_tokens) const {
  DecoderActivations step = largest_;
  for (MatrixView* view : {&step.residual, &step.normed, &step.qkv, &step.attention, &step.gate_up,
                           &step.mlp, &step.projected}) {
    *view = view->Rows(0, num_tokens);
  }
  return step;
}

}  // namespace autoglm
