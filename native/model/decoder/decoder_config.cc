#include "model/decoder/decoder_config.h"

#include <limits>
#include <vector>

#include "kernels/ops.h"
#include "model/checkpoint/checkpoint_dtype.h"
#include "model/checkpoint/json.h"

namespace autoglm {
namespace {

constexpr const char* kModelTypes[] = {"glm4", "glm4v", "glm4v_text", "autoglm_phone"};
constexpr const char* kTextModelTypes[] = {"glm4", "glm4v", "glm4v_text"};

template <size_t N>
bool Contains(const char* const (&names)[N], const std::string& name) {
  for (const char* known : names) {
    if (name == known) return true;
  }
  return false;
}

Status CheckArchitecture(const JsonObject& root, const JsonObject& text, Status& status) {
  const std::string model_type = root.String("model_type", "");
  const std::string text_type = text.String("model_type", model_type);
  const std::string hidden_act = text.String("hidden_act", "silu");
  if (!status.ok()) return status;
  if (!Contains(kModelTypes, model_type)) {
    return Unsupported(root.where() + ": model_type \"" + model_type +
                       "\" is not supported; supported: glm4, glm4v, autoglm_phone");
  }
  if (!Contains(kTextModelTypes, text_type)) {
    return Unsupported(text.where() + ": model_type \"" + text_type +
                       "\" is not supported as a text decoder; supported: glm4, glm4v_text");
  }
  if (hidden_act != "silu") {
    return Unsupported(text.where() + ": hidden_act \"" + hidden_act +
                       "\" is not supported; supported: silu");
  }
  return Status();
}

// Reads the rotary parameters. Version 5 of the format has them in `rope_parameters`; version 4 has
// some beside the other fields and the rest in `rope_scaling`.
void ReadRope(const JsonObject& text, DecoderConfig& config, Status& status) {
  const bool has_block = text.Has("rope_parameters");
  const bool has_scaling = !has_block && text.Has("rope_scaling");
  const JsonObject block = has_block     ? text.Object("rope_parameters")
                           : has_scaling ? text.Object("rope_scaling")
                                         : text;
  if (has_block || has_scaling) {
    const std::string type = block.String("rope_type", block.String("type", "default"));
    // Earlier versions of the format call the default type with sections "mrope".
    if (type != "default" && type != "mrope" && status.ok()) {
      status = Unsupported(block.where() + ": rope_type \"" + type +
                           "\" is not supported; supported: default");
    }
  }
  config.rope_theta = block.Number("rope_theta", text.Number("rope_theta", 10000.0));
  // If the factor is missing, it is a half: the published weights were trained with it.
  const double factor =
      block.Number("partial_rotary_factor", text.Number("partial_rotary_factor", 0.5));
  const double rotary_dim = static_cast<double>(config.head_dim) * factor;
  if (status.ok() && !(factor > 0.0 && factor <= 1.0 && rotary_dim >= 2.0)) {
    status = InvalidCheckpoint(text.where() + ": partial_rotary_factor " + std::to_string(factor) +
                               " leaves nothing to rotate, or more than a head");
    return;
  }
  config.num_rope_pairs = static_cast<int64_t>(rotary_dim) / 2;

  if (!block.Has("mrope_section")) return;
  const std::vector<int64_t> section = block.Integers("mrope_section");
  if (status.ok() && (section.size() != 3 || section[0] < 0 || section[1] < 0 || section[2] < 0 ||
                      section[0] + section[1] + section[2] != config.num_rope_pairs)) {
    status =
        InvalidCheckpoint(block.where() + ": mrope_section: expected three counts that sum to " +
                          std::to_string(config.num_rope_pairs));
  }
  if (status.ok()) config.mrope_section = {section[0], section[1], section[2]};
}

}  // namespace

Status CheckDecoderConfig(const DecoderConfig& config, const std::string& where) {
  for (const int64_t extent :
       {config.hidden_size, config.num_layers, config.num_heads, config.num_kv_heads,
        config.head_dim, config.intermediate_size, config.vocab_size,
        config.max_position_embeddings, config.num_rope_pairs}) {
    if (extent <= 0 || extent > std::numeric_limits<int32_t>::max()) {
      return InvalidCheckpoint(where + ": a size of " + std::to_string(extent) +
                               " is not possible");
    }
  }
  if (config.num_heads % config.num_kv_heads != 0) {
    return InvalidCheckpoint(where + ": num_attention_heads " + std::to_string(config.num_heads) +
                             " is no multiple of num_key_value_heads " +
                             std::to_string(config.num_kv_heads));
  }
  if (config.head_dim > kMaxHeadDim) {
    return Unsupported(where + ": head_dim " + std::to_string(config.head_dim) +
                       " is not supported; at most " + std::to_string(kMaxHeadDim));
  }
  if (!(config.rms_norm_eps > 0.0f) || !(config.rope_theta > 0.0)) {
    return InvalidCheckpoint(where + ": rms_norm_eps and rope_theta must be positive");
  }
  return Status();
}

Result<DecoderConfig> ReadDecoderConfig(const std::string& directory) {
  const std::string path = directory + "/config.json";
  const Result<Json> json = ReadJsonFile(path);
  if (!json.ok()) return json.status();
  Status status;
  const JsonObject root(json.value(), path, status);
  // Early configurations keep the text fields at the top, some of them in both places.
  const JsonObject text = root.Has("text_config") ? root.Object("text_config") : root;
  const Status architecture = CheckArchitecture(root, text, status);
  if (!architecture.ok()) return architecture;

  DecoderConfig config;
  config.model_type = root.String("model_type", "");
  config.hidden_size = text.PositiveInteger("hidden_size");
  config.num_layers = text.PositiveInteger("num_hidden_layers");
  config.num_heads = text.PositiveInteger("num_attention_heads");
  config.num_kv_heads = text.PositiveInteger("num_key_value_heads");
  config.intermediate_size = text.PositiveInteger("intermediate_size");
  config.vocab_size = text.PositiveInteger("vocab_size");
  config.max_position_embeddings = text.PositiveInteger("max_position_embeddings");
  if (!status.ok()) return status;
  config.head_dim = text.Has("head_dim") ? text.PositiveInteger("head_dim")
                                         : config.hidden_size / config.num_heads;
  config.rms_norm_eps = static_cast<float>(text.Number("rms_norm_eps", 1e-5));
  config.attention_bias = text.Boolean("attention_bias", true);
  config.tie_word_embeddings =
      text.Boolean("tie_word_embeddings", root.Boolean("tie_word_embeddings", false));
  config.dtype = ReadDtype(root, text, status);
  ReadRope(text, config, status);
  if (!status.ok()) return status;
  const Status shape = CheckDecoderConfig(config, text.where());
  if (!shape.ok()) return shape;
  return config;
}

}  // namespace autoglm
