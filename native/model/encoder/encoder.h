#ifndef AUTOGLM_MODEL_ENCODER_H_
#define AUTOGLM_MODEL_ENCODER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "device/shared_memory.h"
#include "kernels/ops.h"
#include "model/encoder/encoder_config.h"
#include "model/encoder/media_item.h"
#include "model/encoder/media_preprocess.h"
#include "model/encoder/projector.h"
#include "model/encoder/tower.h"
#include "model/checkpoint/quantize_options.h"
#include "model/weights/weight_cache.h"
#include "model/weights/weight_loader.h"

namespace autoglm {

struct EncoderOptions {
  std::string directory;  // of the model
  Modality modality = Modality::kImage;
  DeviceId device;
  std::optional<WeightFormat> weight_format;  // none: the checkpoint's
  QuantizeOptions quantize;  // quantizes_head is not used
  Dtype activation_dtype = Dtype::kFloat32;
  std::string weights_cache;                     // folder of packed weights; "": none
  const std::atomic<bool>* cancelled = nullptr;  // set to cancel loading; null: cannot be
  LoadProgress* progress = nullptr;              // null: no one looks
  // Rows of at least `min_shared_bytes` go to shared memory while this has room; null: none do.
  // The process shares it with what else it shares.
  std::shared_ptr<SharedMemoryBudget> sharing;
  size_t min_shared_bytes = 0;
  size_t row_pool_bytes = 0;  // of a device with memory of its own; 0: no row pool
};

// Memory of the encoder's device that holds rows, which other processes may open.
struct RowPoolDescription {
  size_t bytes = 0;  // 0: there is none
  MemoryHandle handle = {};
  std::string device;   // its name in all processes
  std::string refusal;  // why there is none although it was asked for; "": it was not
};

struct EncoderDescription {
  std::string model_type;  // of the tower
  Modality modality;
  int64_t hidden_size;  // of an embedding row
  WeightFormat weight_format;  // of what is not quantized
  WeightFormat linear_format;  // of matrices that the checkpoint has as floats
  size_t weight_bytes;
  WeightCacheReport weights_cache;
  int64_t sample_rate_hz;  // 0 for images
  int64_t max_rows;        // of one item within the checkpoint's own bounds
  // Most grid cells that are worth encoding together: more use the weights no better and take more
  // memory.
  int64_t max_batch_cells;
  int64_t load_ms;
  std::vector<std::string> unused_settings;  // as EncoderConfig's
  RowPoolDescription row_pool;
};

// Outcome of one item. If the status is not ok, or the item was cancelled, nothing else is set.
struct EncodedItem {
  Status status;
  bool cancelled = false;
  ItemPlan plan;
  // [plan.num_rows, hidden_size]; empty if they are in `shared_rows` or in the row pool
  std::vector<float> rows;
  std::optional<SharedSegment> shared_rows;  // the same as float32
  int64_t preprocess_us = 0;
  int64_t encode_us = 0;  // tower and projector, of all items multiplied together
};

// Values of the stages for one item, for comparison with a reference.
struct EncoderTrace {
  EncodedItem encoded;
  std::vector<float> features;  // [grid cells, feature values]
  std::vector<float> states;    // [tower rows, state size]; a ViT's class token comes first
};

// Turns media into embedding rows: preprocessing, tower and projector of one modality of a
// checkpoint. One thread at a time may use it.
class Encoder {
 public:
  // Loads an encoder; reads only the tensors of the modality. The calling thread opens the device
  // and must be the one that encodes.
  static Result<std::unique_ptr<Encoder>> Load(const EncoderOptions& options,
                                               DeviceOpener open_device);

  const EncoderDescription& description() const { return description_; }

  // Returns the part that plans items. It does not need the encoder and may outlive it: another
  // thread that plans items shares it.
  const std::shared_ptr<const MediaPreprocessor>& preprocessor() const { return preprocessor_; }

  // Encodes the items together and returns the outcome of each: an item succeeds, fails or is
  // cancelled alone. The largest batch decides the memory, so the caller keeps batches within
  // max_batch_cells.
  std::vector<EncodedItem> Encode(std::span<const MediaItem> items);

  // Copies `num_rows` rows of an item from this byte of the row pool to the host.
  Status ReadRows(size_t pool_offset, int64_t num_rows, EncodedItem& encoded);

  EncoderTrace Trace(const MediaItem& item);

 private:
  // An item after preprocessing and before the tower.
  struct Prepared {
    TowerItem item;
    std::vector<float> features;  // [grid cells, feature values]
    std::optional<size_t> pool_offset;
    EncodedItem encoded;
  };

  Encoder(Device device, const EncoderConfig& config)
      : device_(std::move(device)),
        config_(config),
        preprocessor_(std::make_shared<const MediaPreprocessor>(config)) {}

  Status LoadWeights(const EncoderOptions& options);
  Status LoadTower(const Checkpoint& checkpoint, const WeightLoader::Options& loading,
                   Dtype activation_dtype, WeightMemory& memory);
  Status LoadProjector(const Checkpoint& checkpoint, const WeightLoader::Options& loading,
                       const EncoderOptions& options, WeightMemory& memory);
  int64_t MaxRows() const;
  Status AllocateRowPool(size_t bytes);
  // Refuses rows that are no part of the row pool.
  Status CheckPlace(size_t pool_offset, int64_t num_rows) const;

  // Preprocesses one item; if it fails, its outcome is in `encoded`.
  Prepared Prepare(const MediaItem& item) const;
  // Runs tower and projector over the prepared items together, and completes their outcomes.
  // Returns all states of the batch, or nothing if it was cancelled.
  MatrixView RunBatch(std::span<Prepared* const> batch);
  Status RunTower(std::span<Prepared* const> batch, std::span<const TowerItem> items,
                  MatrixView& states, TowerOutcome& outcome);
  // Computes the embedding rows of an item's states.
  Result<MatrixView> Project(const MatrixView& states);
  // Copies rows to the row pool.
  void KeepInPool(const MatrixView& rows, size_t pool_offset);
  // Copies rows to the host, where the item's reader finds them.
  void Keep(const MatrixView& rows, EncodedItem& encoded);
  std::vector<float> CopyToHost(const MatrixView& dense);

  Device device_;
  const EncoderConfig config_;
  const std::shared_ptr<const MediaPreprocessor> preprocessor_;
  std::unique_ptr<WeightMemory> weights_;
  std::unique_ptr<Tower> tower_;
  std::optional<GatedProjector> projector_;
  EncoderDescription description_ = {};
  std::shared_ptr<SharedMemoryBudget> sharing_;
  size_t min_shared_bytes_ = 0;
  DeviceBuffer row_pool_;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_ENCODER_H_
