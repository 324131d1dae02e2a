#include "model/encoder/encoder.h"

#include <chrono>
#include <utility>

#include "base/array_checks.h"
#include "model/checkpoint/checkpoint.h"
#include "model/encoder/conformer.h"
#include "model/encoder/glm4v_vision.h"
#include "model/encoder/vit.h"

namespace autoglm {
namespace {

// Patches or mel frames of a batch, enough to use the weights well.
constexpr int64_t kMaxBatchCells = 8192;

using Clock = std::chrono::steady_clock;

int64_t MicrosecondsSince(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
}

// Returns the part of the checkpoint that holds the tower: a bare tower's tensors have no prefix
// and count as text.
ModelPart TowerPart(const Checkpoint& checkpoint, Modality modality) {
  const ModelPart part = modality == Modality::kImage ? ModelPart::kVision : ModelPart::kSpeech;
  return checkpoint.HasPart(part) ? part : ModelPart::kText;
}

}  // namespace

Result<std::unique_ptr<Encoder>> Encoder::Load(const EncoderOptions& options,
                                               DeviceOpener open_device) {
  const Clock::time_point begin = Clock::now();
  if (options.activation_dtype == Dtype::kFloat16) {
    return InvalidRequest("activations cannot be float16, which these models overflow; use "
                          "bfloat16 or float32");
  }
  const Result<EncoderConfig> config = ReadEncoderConfig(options.directory, options.modality);
  if (!config.ok()) return config.status();
  Result<Device> device = open_device(options.device);
  if (!device.ok()) return device.status();
  std::unique_ptr<Encoder> encoder(new Encoder(std::move(device.value()), config.value()));
  const Status status = encoder->LoadWeights(options);
  if (!status.ok()) return status;
  const Status pooled = encoder->AllocateRowPool(options.row_pool_bytes);
  if (!pooled.ok()) return pooled;

  EncoderDescription& description = encoder->description_;
  description.model_type = config.value().model_type;
  description.modality = options.modality;
  description.hidden_size = config.value().OutSize();
  description.weight_bytes = encoder->weights_->bytes();
  description.sample_rate_hz =
      options.modality == Modality::kAudio ? config.value().mel.sample_rate_hz : 0;
  description.max_rows = encoder->MaxRows();
  description.max_batch_cells = kMaxBatchCells;
  description.unused_settings = config.value().unused_settings;
  description.load_ms = MicrosecondsSince(begin) / 1000;
  return encoder;
}

Status Encoder::LoadWeights(const EncoderOptions& options) {
  sharing_ = options.sharing;
  min_shared_bytes_ = options.min_shared_bytes;
  const Result<Checkpoint> checkpoint = Checkpoint::Open(options.directory);
  if (!checkpoint.ok()) return checkpoint.status();
  const WeightFormat format =
      options.weight_format.value_or(PlainFormat(config_.dtype.value_or(Dtype::kFloat32)));
  const Result<QuantizationConfig> quantization =
      ReadUsedQuantization(options.directory, options.quantize, options.activation_dtype);
  if (!quantization.ok()) return quantization.status();
  const WeightLoader::Options loading = {
      .part = TowerPart(checkpoint.value(), options.modality),
      .format = format,
      .linear_format = LinearFormat(format, options.quantize, options.activation_dtype),
      .quantization = quantization.value(),
      .cancelled = options.cancelled,
      .progress = options.progress};
  description_.weight_format = format;
  description_.linear_format = loading.linear_format;
  const char* const tower = options.modality == Modality::kImage ? "vision, " : "speech, ";
  const WeightLoad load = {.cache = {.folder = options.weights_cache,
                                     .model = options.directory,
                                     .settings = tower + LoadingName(loading),
                                     .version = checkpoint.value().Version()},
                           .cancelled = options.cancelled,
                           .progress = options.progress};
  Result<LoadedWeights> loaded = autoglm::LoadWeights(device_, load, [&](WeightMemory& memory) {
    const Status status = LoadTower(checkpoint.value(), loading, options.activation_dtype, memory);
    return status.ok() ? LoadProjector(checkpoint.value(), loading, options, memory) : status;
  });
  if (!loaded.ok()) return loaded.status();
  weights_ = std::move(loaded.value().memory);
  description_.weights_cache = std::move(loaded.value().cache);
  return Status();
}

Status Encoder::LoadTower(const Checkpoint& checkpoint, const WeightLoader::Options& loading,
                          Dtype activation_dtype, WeightMemory& memory) {
  WeightLoader loader(device_, checkpoint, memory, loading);
  const auto keep = [this](auto tower) {
    if (tower.ok()) tower_ = std::move(tower.value());
    return tower.status();
  };
  if (const auto* glm4v = std::get_if<Glm4vVisionConfig>(&config_.tower)) {
    return keep(Glm4vVision::Load(device_, *glm4v, activation_dtype, loader));
  }
  if (const auto* vit = std::get_if<VitConfig>(&config_.tower)) {
    return keep(Vit::Load(device_, *vit, activation_dtype, loader));
  }
  WeightLoader::Options front = loading;
  front.format = front.linear_format = PlainFormat(Dtype::kFloat32);
  WeightLoader front_loader(device_, checkpoint, memory, front);
  return keep(Conformer::Load(device_, std::get<ConformerConfig>(config_.tower), activation_dtype,
                              loader, front_loader));
}

Status Encoder::LoadProjector(const Checkpoint& checkpoint, const WeightLoader::Options& loading,
                              const EncoderOptions& options, WeightMemory& memory) {
  if (!config_.projector.has_value()) return Status();
  WeightLoader::Options projecting = loading;
  projecting.part = options.modality == Modality::kImage ? ModelPart::kVisionProjector
                                                         : ModelPart::kSpeechProjector;
  WeightLoader loader(device_, checkpoint, memory, projecting);
  projector_.emplace(device_, *config_.projector, options.activation_dtype);
  projector_->Load(loader);
  return loader.status();
}

// A driver that lets processes share no memory leaves an encoder whose rows come to the host.
Status Encoder::AllocateRowPool(size_t bytes) {
  const Ops& ops = *device_.ops;
  RowPoolDescription& description = description_.row_pool;
  if (bytes == 0) return Status();
  if (ops.allocate_shared == nullptr) {
    return InvalidRequest("rowPoolBytes: the device has no memory of its own");
  }
  Result<SharedDeviceMemory> shared = ops.allocate_shared(*device_.context, bytes);
  if (!shared.ok()) {
    if (shared.status().reason() == Reason::kOutOfMemory) return shared.status();
    description.refusal = shared.status().message();
    return Status();
  }
  row_pool_ = std::move(shared.value().memory);
  description.bytes = bytes;
  description.handle = shared.value().handle;
  description.device = ops.reachable_devices(*device_.context).front();
  return Status();
}

Status Encoder::CheckPlace(size_t pool_offset, int64_t num_rows) const {
  const size_t bytes = static_cast<size_t>(num_rows * config_.OutSize()) * sizeof(float);
  const size_t pool = description_.row_pool.bytes;
  if (pool_offset % sizeof(float) == 0 && IsInside(pool_offset, bytes, pool)) return Status();
  return InvalidRequest("rows of " + std::to_string(bytes) + " bytes at byte " +
                        std::to_string(pool_offset) + " are not a part of the row pool of " +
                        std::to_string(pool));
}

int64_t Encoder::MaxRows() const {
  if (config_.modality == Modality::kAudio) {
    return config_.PlanOf({.t = config_.MaxMelFrames(), .h = 1, .w = 1}).num_rows;
  }
  if (config_.image.fixed_size.has_value()) {
    return config_.PlanOf(PatchGrid(config_.image, *config_.image.fixed_size)).num_rows;
  }
  const SmartResizeRule& rule = config_.image.smart_resize;
  return rule.bounds.max_volume / (rule.temporal_patch_size * rule.factor * rule.factor);
}

Encoder::Prepared Encoder::Prepare(const MediaItem& item) const {
  Prepared prepared;
  EncodedItem& encoded = prepared.encoded;
  prepared.item.cancelled = item.cancelled;
  encoded.cancelled = prepared.item.IsCancelled();
  if (encoded.cancelled) return prepared;
  const Clock::time_point begin = Clock::now();
  const Result<ItemPlan> plan = preprocessor_->PlanOf(item);
  encoded.status = plan.status();
  if (!plan.ok()) return prepared;
  encoded.plan = plan.value();
  prepared.pool_offset = item.pool_offset;
  if (item.pool_offset.has_value()) {
    encoded.status = CheckPlace(*item.pool_offset, plan.value().num_rows);
    if (!encoded.status.ok()) return prepared;
  }
  prepared.item.grid = item.grid;
  Result<std::vector<float>> features =
      preprocessor_->Prepare(item, {device_.context->threads(), device_.context->image_kernels()});
  encoded.status = features.status();
  if (features.ok()) prepared.features = std::move(features.value());
  encoded.preprocess_us = MicrosecondsSince(begin);
  return prepared;
}

std::vector<EncodedItem> Encoder::Encode(std::span<const MediaItem> items) {
  std::vector<Prepared> prepared;
  for (const MediaItem& item : items) prepared.push_back(Prepare(item));
  std::vector<Prepared*> batch;
  for (Prepared& item : prepared) {
    if (item.encoded.status.ok() && !item.encoded.cancelled) batch.push_back(&item);
  }
  if (!batch.empty()) RunBatch(batch);
  std::vector<EncodedItem> encoded;
  for (Prepared& item : prepared) encoded.push_back(std::move(item.encoded));
  return encoded;
}

EncoderTrace Encoder::Trace(const MediaItem& item) {
  EncoderTrace trace;
  Prepared prepared = Prepare(item);
  if (prepared.encoded.status.ok() && !prepared.encoded.cancelled) {
    Prepared* const batch[] = {&prepared};
    const MatrixView states = RunBatch(batch);
    if (states.data != nullptr) trace.states = CopyToHost(states);
  }
  trace.features = std::move(prepared.features);
  trace.encoded = std::move(prepared.encoded);
  return trace;
}

MatrixView Encoder::RunBatch(std::span<Prepared* const> batch) {
  const Clock::time_point begin = Clock::now();
  std::vector<TowerItem> items;
  for (const Prepared* prepared : batch) items.push_back(prepared->item);
  MatrixView states;
  TowerOutcome outcome = TowerOutcome::kDone;
  const Status status = RunTower(batch, items, states, outcome);
  for (size_t i = 0; i < batch.size(); ++i) {
    EncodedItem& encoded = batch[i]->encoded;
    encoded.cancelled = outcome == TowerOutcome::kCancelled || items[i].IsCancelled();
    encoded.status = status;
    if (!status.ok() || encoded.cancelled) continue;
    const StateRange range = tower_->StatesOf(items, static_cast<int64_t>(i));
    const Result<MatrixView> rows = Project(states.Rows(range.begin, range.count));
    encoded.status = rows.status();
    if (!rows.ok()) continue;
    if (batch[i]->pool_offset.has_value()) {
      CHECK(rows.value().rows == encoded.plan.num_rows);
      KeepInPool(rows.value(), *batch[i]->pool_offset);
    } else {
      Keep(rows.value(), encoded);
    }
  }
  // Other processes read rows of the pool as soon as they are told of them.
  if (row_pool_.data() != nullptr) device_.ops->finish(*device_.context);
  for (Prepared* prepared : batch) prepared->encoded.encode_us = MicrosecondsSince(begin);
  return outcome == TowerOutcome::kDone ? states : MatrixView{};
}

Status Encoder::RunTower(std::span<Prepared* const> batch, std::span<const TowerItem> items,
                         MatrixView& states, TowerOutcome& outcome) {
  const Status status = tower_->Reserve(items);
  if (!status.ok()) return status;
  std::vector<float> joined;
  const float* features = batch[0]->features.data();
  if (batch.size() > 1) {
    for (const Prepared* prepared : batch) {
      joined.insert(joined.end(), prepared->features.begin(), prepared->features.end());
    }
    features = joined.data();
  }
  outcome = tower_->Encode({.items = items, .features = features}, states);
  return Status();
}

Result<MatrixView> Encoder::Project(const MatrixView& states) {
  if (!projector_.has_value()) return states;
  const Status status = projector_->Reserve(projector_->NumRows(states.rows));
  if (!status.ok()) return status;
  return projector_->Apply(states);
}

void Encoder::KeepInPool(const MatrixView& rows, size_t pool_offset) {
  CHECK(rows.stride == rows.columns);
  device_.ops->copy(*device_.context,
                    {.source = rows.data,
                     .bytes = static_cast<size_t>(rows.rows * rows.columns) * sizeof(float),
                     .target = row_pool_.as<char>() + pool_offset});
}

Status Encoder::ReadRows(size_t pool_offset, int64_t num_rows, EncodedItem& encoded) {
  const Status placed = CheckPlace(pool_offset, num_rows);
  if (!placed.ok()) return placed;
  float* const data = reinterpret_cast<float*>(row_pool_.as<char>() + pool_offset);
  Keep(DenseMatrix(data, num_rows, config_.OutSize()), encoded);
  return Status();
}

void Encoder::Keep(const MatrixView& rows, EncodedItem& encoded) {
  const size_t num_values = static_cast<size_t>(rows.rows * rows.columns);
  if (sharing_ != nullptr && num_values * sizeof(float) >= min_shared_bytes_) {
    const std::span<const float> values(device_.ops->host_rows(*device_.context, rows), num_values);
    Result<SharedSegment> shared = SharedSegment::Copy(std::as_bytes(values), sharing_);
    if (shared.ok()) {
      encoded.shared_rows = std::move(shared.value());
      return;
    }
  }
  // Without room in shared memory, the rows travel as those of a small item do.
  encoded.rows = CopyToHost(rows);
}

std::vector<float> Encoder::CopyToHost(const MatrixView& dense) {
  const float* rows = device_.ops->host_rows(*device_.context, dense);
  return std::vector<float>(rows, rows + dense.rows * dense.columns);
}

}  // namespace autoglm
