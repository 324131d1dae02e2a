#include "model/decoder/decoder_source.h"

#include <algorithm>
#include <utility>

#include "model/checkpoint/random_weights.h"

namespace autoglm {
namespace {

// Returns the number of elements of the largest matrix, the most that one tensor of random weights
// has.
int64_t LargestMatrix(const DecoderConfig& config) {
  const int64_t widest = std::max(
      {config.vocab_size, 2 * config.intermediate_size, config.num_heads * config.head_dim});
  return widest * config.hidden_size;
}

// Refuses a number of layers that the weights do not have, before memory is sized by it. Weights may
// have more: some checkpoints end in layers that only predict further tokens.
Status CheckLayers(const std::string& directory, const DecoderConfig& config,
                   const Checkpoint& checkpoint) {
  const std::string last = std::to_string(config.num_layers - 1);
  if (checkpoint.Has(ModelPart::kText, "layers." + last + ".input_layernorm.weight")) {
    return Status();
  }
  return InvalidCheckpoint(directory + "/config.json: num_hidden_layers is " +
                           std::to_string(config.num_layers) + ", but the weights have no layer " +
                           last + " (counted from 0)");
}

Status OpenRandom(const DecoderConfig& shape, DecoderSource& source) {
  source.config = shape;
  const Status checked = CheckDecoderConfig(shape, "random decoder");
  if (!checked.ok()) return checked;
  source.tensors = std::make_unique<RandomWeights>(LargestMatrix(shape));
  return Status();
}

Status OpenCheckpoint(const DecoderOptions& options, DecoderSource& source) {
  const Result<DecoderConfig> config = ReadDecoderConfig(options.directory);
  if (!config.ok()) return config.status();
  source.config = config.value();
  const Result<QuantizationConfig> quantization =
      ReadUsedQuantization(options.directory, options.quantize, options.activation_dtype);
  if (!quantization.ok()) return quantization.status();
  source.quantization = quantization.value();
  Result<Checkpoint> checkpoint = Checkpoint::Open(options.directory);
  if (!checkpoint.ok()) return checkpoint.status();
  const Status layers = CheckLayers(options.directory, source.config, checkpoint.value());
  if (!layers.ok()) return layers;
  source.version = checkpoint.value().Version();
  source.tensors = std::make_unique<Checkpoint>(std::move(checkpoint.value()));
  return Status();
}

}  // namespace

Result<DecoderSource> DecoderSource::Open(const DecoderOptions& options) {
  DecoderSource source;
  const Status opened = options.random.has_value() ? OpenRandom(*options.random, source)
                                                   : OpenCheckpoint(options, source);
  if (!opened.ok()) return opened;
  const Result<TensorView> embedding =
      source.tensors->Find(ModelPart::kText, "embed_tokens.weight",
                           {source.config.vocab_size, source.config.hidden_size});
  if (!embedding.ok()) return embedding.status();
  const Dtype stored = source.config.dtype.value_or(embedding.value().dtype);
  source.format = options.weight_format.value_or(PlainFormat(stored));
  return source;
}

}  // namespace autoglm
