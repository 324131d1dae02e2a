#include "binding/encoder_values.h"

#include <string>
#include <utility>

#include "binding/device_options.h"

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

MaxPixels ReadMaxPixels(const ObjectReader& options, Status& status) {
  const std::string mode = options.String("maxPixelsMode");
  if (options.IsNull("maxPixels") || mode == "ignore") return {};
  const int64_t value = ReadCount(options, "maxPixels", kMaxVolume, status);
  if (status.ok() && value == 0) status = InvalidRequest("maxPixels: expected at least 1");
  if (mode == "volume") return {MaxPixelsMode::kVolume, value};
  if (mode == "area") return {MaxPixelsMode::kArea, value};
  if (status.ok()) {
    status = InvalidRequest("maxPixelsMode: expected ignore, volume or area, received " + mode);
  }
  return {};
}

ImageFacts ReadImageFacts(const ObjectReader& object, Status& status) {
  const int64_t height = ReadCount(object, "height", kMaxSide, status);
  const int64_t width = ReadCount(object, "width", kMaxSide, status);
  return {{height, width}, ReadMaxPixels(object.Object("options"), status)};
}

ImageInput ReadImage(const ObjectReader& object, KeptArrays& kept, Status& status) {
  const ImageFacts facts = ReadImageFacts(object, status);
  const std::optional<Napi::Uint8Array> rgb = object.Bytes("rgb");
  if (!rgb.has_value() || !status.ok()) return {};
  const int64_t expected = facts.size.height * facts.size.width * kNumImageChannels;
  if (static_cast<int64_t>(rgb->ByteLength()) != expected) {
    status = InvalidRequest("rgb: expected height * width * 3 = " + std::to_string(expected) +
                            " bytes, received " + std::to_string(rgb->ByteLength()));
    return {};
  }
  kept.push_back(Napi::Persistent(rgb->As<Napi::Object>()));
  return {{rgb->Data(), facts.size}, facts.max_pixels};
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

const char* ModalityName(Modality modality) {
  return modality == Modality::kImage ? "image" : "audio";
}

}  // namespace

EncoderOptions ReadEncoderOptions(const ObjectReader& object, Status& status) {
  EncoderOptions options;
  options.directory = object.String("modelDirectory");
  const std::string modality = object.String("modality");
  if (modality == "audio") {
    options.modality = Modality::kAudio;
  } else if (modality != "image" && status.ok()) {
    status = InvalidRequest("options: modality: expected image or audio");
  }
  options.device = ReadDevice(object, status);
  options.weight_format = ReadWeightFormat(object);
  if (!object.IsNull("activationDtype")) {
    options.activation_dtype = object.DtypeOf("activationDtype");
  }
  return options;
}

ItemFacts ReadItemFacts(const ObjectReader& object, Status& status) {
  const std::string kind = object.String("kind");
  if (kind == "image") return ReadImageFacts(object, status);
  if (kind == "audio") {
    return AudioFacts{ReadCount(object, "numSamples", kMaxSamples, status),
                      object.Integer("sampleRateHz")};
  }
  if (status.ok()) status = InvalidRequest("facts: kind: expected image or audio");
  return {};
}

MediaItem ReadMediaItem(const ObjectReader& object, KeptArrays& kept, Status& status) {
  const std::string kind = object.String("kind");
  if (kind == "image") return {.input = ReadImage(object, kept, status)};
  if (kind == "audio") {
    return {.input = AudioInput{ReadKeptFloats(object, "samples", kept),
                                object.Integer("sampleRateHz")}};
  }
  if (kind == "features") {
    return {.input = FeatureInput{ReadKeptFloats(object, "values", kept),
                                  ReadGrid(object.Object("grid"))}};
  }
  if (status.ok()) status = InvalidRequest("item: kind: expected image, audio or features");
  return {};
}

Napi::Object MakeEncoderDescription(Napi::Env env, const EncoderDescription& description) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("modality", ModalityName(description.modality));
  object.Set("modelType", description.model_type);
  object.Set("weightDtype", WeightFormatName(description.weight_format));
  SetNumber(object, "hiddenSize", description.hidden_size);
  SetNumber(object, "weightBytes", static_cast<int64_t>(description.weight_bytes));
  SetNumber(object, "loadMs", description.load_ms);
  SetNumber(object, "sampleRateHz", description.sample_rate_hz);
  SetNumber(object, "maxRows", description.max_rows);
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
  object.Set("rows", MakeFloats(env, std::move(encoded.rows)));
  object.Set("plan", MakeItemPlan(env, encoded.plan));
  SetNumber(object, "preprocessUs", encoded.preprocess_us);
  SetNumber(object, "encodeUs", encoded.encode_us);
  return object;
}

Napi::Object MakeEncoderTrace(Napi::Env env, EncoderTrace& trace) {
  Napi::Object object = MakeEncodedItem(env, trace.encoded);
  object.Set("features", MakeFloats(env, std::move(trace.features)));
  object.Set("states", MakeFloats(env, std::move(trace.states)));
  return object;
}

}  // namespace autoglm::binding
