#include "binding/encoder_values.h"

#include <string>
#include <utility>

#include "binding/device_options.h"
#include "binding/shared_memory.h"

namespace autoglm::binding {
namespace {

constexpr int64_t kMaxSide = int64_t{1} << 20;          // pixels
constexpr int64_t kMaxSamples = int64_t{1} << 40;       // no overflow when multiplied by a rate
constexpr int64_t kMaxVolume = int64_t{1} << 32;        // pixels

int64_t ReadCount(const ObjectReader& object, const char* name, int64_t max, Status& status) {
  const int64_t value = object.Integer(name);
  if (status.ok() && (value < 0 || value > max)) {
    status = InvalidRequest(std::string(name) + ": expected 0.." + std::to_string(max) +
                            ", received " + std::to_string(value));
  }
  return value;
}

// Reads a bound in pixels; 0 if it is null.
int64_t ReadBound(const ObjectReader& options, const char* name, Status& status) {
  if (options.IsNull(name)) return 0;
  const int64_t value = ReadCount(options, name, kMaxVolume, status);
  if (status.ok() && value == 0) status = InvalidRequest(std::string(name) + ": expected at least 1");
  return value;
}

PixelLimits ReadPixelLimits(const ObjectReader& options, Status& status) {
  const std::string mode = options.String("maxPixelsMode");
  if (mode == "ignore") return {};
  const int64_t max = ReadBound(options, "maxPixels", status);
  const int64_t min = ReadBound(options, "minPixels", status);
  if (mode == "volume") return {MaxPixelsMode::kVolume, max, min};
  if (mode == "area") return {MaxPixelsMode::kArea, max, min};
  if (status.ok()) {
    status = InvalidRequest("maxPixelsMode: expected ignore, volume or area, received " + mode);
  }
  return {};
}

ImageSize ReadImageSize(const ObjectReader& object, Status& status) {
  const int64_t height = ReadCount(object, "height", kMaxSide, status);
  const int64_t width = ReadCount(object, "width", kMaxSide, status);
  return {height, width};
}

ImageInput ReadImage(const ObjectReader& object, KeptArrays& kept, Status& status) {
  const ImageSize size = ReadImageSize(object, status);
  const std::optional<Napi::Uint8Array> rgb = object.Bytes("rgb");
  if (!rgb.has_value() || !status.ok()) return {};
  const int64_t expected = size.height * size.width * kNumImageChannels;
  if (static_cast<int64_t>(rgb->ByteLength()) != expected) {
    status = InvalidRequest("rgb: expected height * width * 3 = " + std::to_string(expected) +
                            " bytes, received " + std::to_string(rgb->ByteLength()));
    return {};
  }
  kept.push_back(Napi::Persistent(rgb->As<Napi::Object>()));
  return {{rgb->Data(), size}};
}

std::span<const float> ReadKeptFloats(const ObjectReader& object, const char* name,
                                      KeptArrays& kept) {
  const std::optional<Napi::Float32Array> array = object.FloatArray(name);
  if (!array.has_value()) return {};
  kept.push_back(Napi::Persistent(array->As<Napi::Object>()));
  return {array->Data(), array->ElementLength()};
}

Grid ReadGrid(const ObjectReader& grid) {
  return {grid.Uint32("t"), grid.Uint32("h"), grid.Uint32("w")};
}

void SetNumber(Napi::Object& object, const char* name, int64_t value) {
  object.Set(name, Napi::Number::New(object.Env(), static_cast<double>(value)));
}

Napi::Value MakeRowPool(Napi::Env env, const RowPoolDescription& pool) {
  if (pool.bytes == 0) return env.Null();
  Napi::Object object = Napi::Object::New(env);
  SetNumber(object, "numBytes", static_cast<int64_t>(pool.bytes));
  object.Set("handle", Napi::Buffer<uint8_t>::Copy(env, pool.handle.data(), pool.handle.size()));
  object.Set("device", pool.device);
  return object;
}

// Sets `rows`, and `shared` if they are in shared memory.
void SetRows(Napi::Env env, EncodedItem& encoded, Napi::Object& object) {
  if (!encoded.shared_rows.has_value()) {
    object.Set("rows", MakeFloats(env, std::move(encoded.rows)));
    return;
  }
  SharedSegment segment = *std::exchange(encoded.shared_rows, std::nullopt);
  const size_t num_values = segment.bytes() / sizeof(float);
  const Napi::ArrayBuffer buffer = MakeShared(env, std::move(segment), object);
  if (!buffer.IsEmpty()) object.Set("rows", Napi::Float32Array::New(env, num_values, buffer, 0));
}

const char* ModalityName(Modality modality) {
  return modality == Modality::kImage ? "image" : "audio";
}

}  // namespace

EncoderOptions ReadEncoderOptions(const ObjectReader& object, Status& status) {
  EncoderOptions options;
  if (!object.IsNull("weightsCache")) options.weights_cache = object.String("weightsCache");
  options.directory = object.String("modelDirectory");
  const std::string modality = object.String("modality");
  if (modality == "audio") {
    options.modality = Modality::kAudio;
  } else if (modality != "image" && status.ok()) {
    status = InvalidRequest("options: modality: expected image or audio");
  }
  options.device = ReadDevice(object, status);
  options.weight_format = ReadWeightFormat(object);
  options.quantize = ReadQuantize(object, status);
  if (!object.IsNull("activationDtype")) {
    options.activation_dtype = object.DtypeOf("activationDtype");
  }
  if (!object.IsNull("minSharedBytes")) {
    options.min_shared_bytes = static_cast<size_t>(object.Uint32("minSharedBytes"));
  }
  if (!object.IsNull("rowPoolBytes")) options.row_pool_bytes = object.ByteCount("rowPoolBytes");
  return options;
}

ItemFacts ReadItemFacts(const ObjectReader& object, Status& status) {
  const std::string kind = object.String("kind");
  if (kind == "image") {
    const ImageSize size = ReadImageSize(object, status);
    return ImageFacts{size, ReadPixelLimits(object.Object("options"), status)};
  }
  if (kind == "audio") {
    return AudioFacts{ReadCount(object, "numSamples", kMaxSamples, status),
                      object.Integer("sampleRateHz")};
  }
  if (status.ok()) status = InvalidRequest("facts: kind: expected image or audio");
  return {};
}

MediaItem ReadMediaItem(const ObjectReader& object, KeptArrays& kept, Status& status) {
  const std::string kind = object.String("kind");
  MediaItem item;
  if (kind == "image") {
    item.input = ReadImage(object, kept, status);
  } else if (kind == "audio") {
    item.input =
        AudioInput{ReadKeptFloats(object, "samples", kept), object.Integer("sampleRateHz")};
  } else if (kind == "features") {
    item.input = FeatureInput{ReadKeptFloats(object, "values", kept)};
  } else if (status.ok()) {
    status = InvalidRequest("item: kind: expected image, audio or features");
  }
  if (!object.IsNull("poolOffset")) item.pool_offset = object.ByteCount("poolOffset");
  if (status.ok()) item.grid = ReadGrid(object.Object("grid"));
  return item;
}

Napi::Object MakeEncoderDescription(Napi::Env env, const EncoderDescription& description) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("modality", ModalityName(description.modality));
  object.Set("modelType", description.model_type);
  object.Set("weightDtype", WeightFormatName(description.weight_format));
  object.Set("quantization",
             QuantizationName(description.linear_format, description.linear_format));
  SetNumber(object, "hiddenSize", description.hidden_size);
  SetNumber(object, "weightBytes", static_cast<int64_t>(description.weight_bytes));
  object.Set("weightsCache", MakeCacheReport(env, description.weights_cache));
  SetNumber(object, "loadMs", description.load_ms);
  SetNumber(object, "sampleRateHz", description.sample_rate_hz);
  SetNumber(object, "maxRows", description.max_rows);
  SetNumber(object, "maxBatchCells", description.max_batch_cells);
  Napi::Array unused = Napi::Array::New(env, description.unused_settings.size());
  for (size_t i = 0; i < description.unused_settings.size(); ++i) {
    unused.Set(static_cast<uint32_t>(i), description.unused_settings[i]);
  }
  object.Set("unusedSettings", unused);
  object.Set("rowPool", MakeRowPool(env, description.row_pool));
  object.Set("rowPoolRefusal", description.row_pool.refusal);
  return object;
}

Napi::Object MakeItemPlan(Napi::Env env, const ItemPlan& plan) {
  Napi::Object grid = Napi::Object::New(env);
  SetNumber(grid, "t", plan.grid.t);
  SetNumber(grid, "h", plan.grid.h);
  SetNumber(grid, "w", plan.grid.w);
  Napi::Object object = Napi::Object::New(env);
  object.Set("grid", grid);
  SetNumber(object, "numRows", plan.num_rows);
  return object;
}

Napi::Object MakeEncodedItem(Napi::Env env, EncodedItem& encoded) {
  Napi::Object object = Napi::Object::New(env);
  SetRows(env, encoded, object);
  object.Set("plan", MakeItemPlan(env, encoded.plan));
  SetNumber(object, "preprocessUs", encoded.preprocess_us);
  SetNumber(object, "encodeUs", encoded.encode_us);
  return object;
}

Napi::Object MakeHostRows(Napi::Env env, EncodedItem& encoded) {
  Napi::Object object = Napi::Object::New(env);
  SetRows(env, encoded, object);
  return object;
}

Napi::Object MakeEncoderTrace(Napi::Env env, EncoderTrace& trace) {
  Napi::Object object = MakeEncodedItem(env, trace.encoded);
  object.Set("features", MakeFloats(env, std::move(trace.features)));
  object.Set("states", MakeFloats(env, std::move(trace.states)));
  return object;
}

}  // namespace autoglm::binding
