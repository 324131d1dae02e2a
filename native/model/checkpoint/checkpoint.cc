#include "model/checkpoint/checkpoint.h"

#include <sys/stat.h>

#include <optional>
#include <set>
#include <string_view>

#include "model/checkpoint/json.h"

namespace autoglm {
namespace {

struct Prefix {
  std::string_view text;
  ModelPart part;
};

// Prefixes that the converters of different versions write, after an optional leading "model.".
constexpr Prefix kPrefixes[] = {
    {"language_model.", ModelPart::kText},
    {"visual.", ModelPart::kVision},
    {"vision_tower.", ModelPart::kVision},
    {"vit.", ModelPart::kVision},
    {"vision_projector.", ModelPart::kVisionProjector},
    {"audio_projector.", ModelPart::kSpeechProjector},
    {"audio_tower.", ModelPart::kSpeech},
    {"encoder.", ModelPart::kSpeech},
};

constexpr std::string_view kModelPrefix = "model.";

// A bare vision transformer names its layers with this prefix, a speech model with
// `encoder.layers.`.
constexpr std::string_view kBareVitLayers = "encoder.layer.";

bool FileExists(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0;
}

std::optional<Dtype> FloatDtype(const std::string& stored) {
  if (stored == "F32") return Dtype::kFloat32;
  if (stored == "BF16") return Dtype::kBfloat16;
  if (stored == "F16") return Dtype::kFloat16;
  return std::nullopt;
}

// Returns the names of the shards of an index, each a plain file name.
Result<std::set<std::string>> ShardNames(const std::string& path, const Json& index) {
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || map == index.end() || !map->is_object() || map->empty()) {
    return InvalidCheckpoint(path + ": expected an object \"weight_map\" of tensor to file");
  }
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string() || shard.get<std::string>().find('/') != std::string::npos) {
      return InvalidCheckpoint(path + ": tensor \"" + tensor + "\": expected a file name");
    }
    shards.insert(shard.get<std::string>());
  }
  return shards;
}

}  // namespace

std::pair<ModelPart, std::string> PlainName(const std::string& stored_name) {
  std::string_view name = stored_name;
  if (name.starts_with(kModelPrefix)) name.remove_prefix(kModelPrefix.size());
  if (name.starts_with(kBareVitLayers)) return {ModelPart::kText, std::string(name)};
  for (const Prefix& prefix : kPrefixes) {
    if (!name.starts_with(prefix.text)) continue;
    name.remove_prefix(prefix.text.size());
    if (name.starts_with(kModelPrefix)) name.remove_prefix(kModelPrefix.size());
    return {prefix.part, std::string(name)};
  }
  return {ModelPart::kText, std::string(name)};
}

Result<Checkpoint> Checkpoint::Open(const std::string& directory) {
  Checkpoint checkpoint;
  checkpoint.directory_ = directory;
  const std::string single = directory + "/model.safetensors";
  if (!FileExists(single)) {
    const Status status = checkpoint.AddShards(directory);
    if (!status.ok()) return status;
    return checkpoint;
  }
  Result<SafetensorsFile> file = SafetensorsFile::Open(single);
  if (!file.ok()) return file.status();
  const Status status = checkpoint.Add(std::move(file.value()));
  if (!status.ok()) return status;
  return checkpoint;
}

Status Checkpoint::AddShards(const std::string& directory) {
  const std::string path = directory + "/model.safetensors.index.json";
  if (!FileExists(path)) {
    return InvalidCheckpoint(directory +
                             ": holds neither model.safetensors nor model.safetensors.index.json");
  }
  const Result<Json> index = ReadJsonFile(path);
  if (!index.ok()) return index.status();
  const Result<std::set<std::string>> shards = ShardNames(path, index.value());
  if (!shards.ok()) return shards.status();
  for (const std::string& shard : shards.value()) {
    Result<SafetensorsFile> file = SafetensorsFile::Open(directory + "/" + shard);
    if (!file.ok()) return file.status();
    const Status status = Add(std::move(file.value()));
    if (!status.ok()) return status;
  }
  for (const auto& [tensor, shard] : index.value()["weight_map"].items()) {
    const auto [part, name] = PlainName(tensor);
    if (Has(part, name)) continue;
    return InvalidCheckpoint(directory + "/" + shard.get<std::string>() + ": tensor \"" + tensor +
                             "\" of the index is missing");
  }
  return Status();
}

Status Checkpoint::Add(SafetensorsFile file) {
  files_.push_back(std::make_unique<SafetensorsFile>(std::move(file)));
  for (const StoredTensor& tensor : files_.back()->tensors()) {
    const Status status = AddTensor(tensor, *files_.back());
    if (!status.ok()) return status;
  }
  return Status();
}

Status Checkpoint::AddTensor(const StoredTensor& tensor, const SafetensorsFile& file) {
  const auto [entry, added] = tensors_.insert({PlainName(tensor.name), {&tensor, &file}});
  if (added) return Status();
  return InvalidCheckpoint(file.path() + ": tensor \"" + tensor.name +
                           "\" stands for the same as \"" + entry->second.tensor->name + "\" of " +
                           entry->second.file->path());
}

std::string Checkpoint::Version() const {
  std::string version = "config.json " + FileVersion(directory_ + "/config.json") + "\n";
  for (const std::unique_ptr<SafetensorsFile>& file : files_) {
    const std::string name = file->path().substr(directory_.size() + 1);
    version += name + " " + file->version() + "\n";
  }
  return version;
}

bool Checkpoint::Has(ModelPart part, const std::string& name) const {
  return tensors_.contains({part, name});
}

bool Checkpoint::HasPart(ModelPart part) const {
  const auto first = tensors_.lower_bound({part, ""});
  return first != tensors_.end() && first->first.first == part;
}

const StoredTensor* Checkpoint::FindStored(ModelPart part, const std::string& name) const {
  const auto found = tensors_.find({part, name});
  return found == tensors_.end() ? nullptr : found->second.tensor;
}

std::string Checkpoint::WhereStored(ModelPart part, const std::string& name) const {
  const auto found = tensors_.find({part, name});
  if (found == tensors_.end()) return directory_ + ": tensor \"" + name + "\"";
  return found->second.file->path() + ": tensor \"" + found->second.tensor->name + "\"";
}

Result<TensorView> Checkpoint::Find(ModelPart part, const std::string& name,
                                    const std::vector<int64_t>& shape) const {
  const StoredTensor* const stored = FindStored(part, name);
  const std::string where = WhereStored(part, name);
  if (stored == nullptr) {
    return InvalidCheckpoint(where + " is missing; expected shape " + ShapeText(shape));
  }
  const StoredTensor& tensor = *stored;
  if (tensor.shape != shape) {
    return InvalidCheckpoint(where + ": expected shape " + ShapeText(shape) + ", found " +
                             ShapeText(tensor.shape));
  }
  const std::optional<Dtype> dtype = FloatDtype(tensor.dtype);
  if (!dtype.has_value()) {
    return InvalidCheckpoint(where + ": expected dtype F32, BF16 or F16, found " + tensor.dtype);
  }
  return TensorView{tensor.data, *dtype, tensor.shape, tensor.is_mapped};
}

}  // namespace autoglm
