#include "binding/decoder_values.h"

#include "binding/device_options.h"

namespace autoglm::binding {
namespace {

DecoderConfig ReadShape(const ObjectReader& object) {
  DecoderConfig config;
  config.model_type = "glm4";
  config.hidden_size = object.Uint32("hiddenSize");
  config.num_layers = object.Uint32("numLayers");
  config.num_heads = object.Uint32("numAttentionHeads");
  config.num_kv_heads = object.Uint32("numKeyValueHeads");
  config.head_dim = object.Uint32("headDim");
  config.intermediate_size = object.Uint32("intermediateSize");
  config.vocab_size = object.Uint32("vocabSize");
  config.max_position_embeddings = object.Uint32("maxPositionEmbeddings");
  config.num_rope_pairs = config.head_dim / 4;
  return config;
}

Napi::Value MakeSection(Napi::Env env, const DecoderConfig& config) {
  if (!config.mrope_section.has_value()) return env.Null();
  const Napi::Array section = Napi::Array::New(env, 3);
  for (uint32_t i = 0; i < 3; ++i) {
    section.Set(i, Napi::Number::New(env, static_cast<double>((*config.mrope_section)[i])));
  }
  return section;
}

// Reads `kvCacheShare`, which may be missing.
std::optional<KvCacheShare> ReadKvCacheShare(const ObjectReader& object, Status& status) {
  if (object.IsNull("kvCacheShare")) return std::nullopt;
  const ObjectReader share = object.Object("kvCacheShare");
  const KvCacheShare read = {.of_memory = static_cast<double>(share.Float("ofMemory")),
                             .min_tokens = share.Integer("minTokens")};
  if (status.ok() && !(read.of_memory > 0 && read.of_memory <= 1 && read.min_tokens > 0)) {
    status =
        InvalidRequest("options: kvCacheShare: expected a share in (0, 1] and a number of tokens");
  }
  return read;
}

}  // namespace

DecoderOptions ReadDecoderOptions(const ObjectReader& object, Status& status) {
  DecoderOptions options;
  const ObjectReader model = object.Object("model");
  if (model.IsNull("random")) {
    options.directory = model.String("directory");
  } else {
    options.random = ReadShape(model.Object("random"));
  }
  options.devices = ReadDevices(object, status);
  options.weight_format = ReadWeightFormat(object);
  options.quantize = ReadQuantize(object, status);
  options.activation_dtype = object.DtypeOf("activationDtype");
  options.kv_dtype = ReadKvDtype(object, status);
  options.block_size = object.Integer("blockSize");
  options.kv_cache_share = ReadKvCacheShare(object, status);
  if (!options.kv_cache_share.has_value()) options.kv_cache_bytes = object.Integer("kvCacheBytes");
  options.max_num_batched_tokens = object.Integer("maxNumBatchedTokens");
  if (!object.IsNull("rowPoolBytes")) options.row_pool_bytes = object.ByteCount("rowPoolBytes");
  if (!object.IsNull("enforceEager")) options.enforce_eager = object.Boolean("enforceEager");
  if (!object.IsNull("weightsCache")) options.weights_cache = object.String("weightsCache");
  return options;
}

Napi::Object MakeDescription(Napi::Env env, const DecoderDescription& description) {
  Napi::Object object = Napi::Object::New(env);
  const auto set_number = [&](const char* name, double value) {
    object.Set(name, Napi::Number::New(env, value));
  };
  const DecoderConfig& config = description.config;
  object.Set("modelType", config.model_type);
  set_number("hiddenSize", static_cast<double>(config.hidden_size));
  set_number("numLayers", static_cast<double>(config.num_layers));
  set_number("vocabSize", static_cast<double>(config.vocab_size));
  set_number("maxPositionEmbeddings", static_cast<double>(config.max_position_embeddings));
  object.Set("weightDtype", WeightFormatName(description.weight_format));
  object.Set("quantization",
             QuantizationName(description.linear_format, description.head_format));
  set_number("weightBytes", static_cast<double>(description.weight_bytes));
  object.Set("weightsCache", MakeCacheReport(env, description.weights_cache));
  set_number("numBlocks", static_cast<double>(description.num_blocks));
  set_number("blockSize", static_cast<double>(description.block_size));
  object.Set("kvCacheDtype", KvDtypeName(description.kv_dtype));
  set_number("kvCacheBytes", static_cast<double>(description.kv_cache_bytes));
  set_number("rowPoolBytes", static_cast<double>(description.row_pool_bytes));
  const std::vector<std::string>& reachable = description.reachable_devices;
  const Napi::Array names = Napi::Array::New(env, reachable.size());
  for (uint32_t i = 0; i < reachable.size(); ++i) names.Set(i, reachable[i]);
  object.Set("reachableDevices", names);
  object.Set("groupPath", description.group_path);
  set_number("loadMs", static_cast<double>(description.load_ms));
  object.Set("mropeSection", MakeSection(env, config));
  return object;
}

}  // namespace autoglm::binding
