#ifndef AUTOGLM_MODEL_WEIGHT_CACHE_H_
#define AUTOGLM_MODEL_WEIGHT_CACHE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/status.h"
#include "kernels/ops.h"
#include "model/weights/weight_loader.h"
#include "model/weights/weight_memory.h"

namespace autoglm {

// Where the packed weights of one model with one set of options are kept between starts.
struct WeightCacheOptions {
  std::string folder = "";    // "": nowhere
  std::string model = "";     // directory of the checkpoint
  std::string settings = "";  // text of all that decides what the weights become, but the device
  std::string version = "";   // text of the checkpoint's content
};

// What became of the cache, for the log.
struct WeightCacheReport {
  enum class Outcome {
    kOff,
    kMapped,   // the weights are pages of the file
    kWritten,  // the same, and this load has written it
    kUnused,   // the file could not be written, or the device maps none
  };

  Outcome outcome = Outcome::kOff;
  std::string path;
  std::string reason;  // why there was no file to be mapped, or why it is unused; "" if it was new
};

// Refuses a need of memory that is more than what is free.
Status CheckMemory(size_t weight_bytes, size_t kv_cache_bytes, const FreeMemory& free);

// Checks the memory of several loads that run at once and take about the same. Where they share their
// memory, the first that is about to read asks for all, because the others find less free soon.
class MemoryCheck {
 public:
  explicit MemoryCheck(int num_loads) : num_loads_(static_cast<size_t>(num_loads)) {}

  // What a load takes, and the share of the device's own memory that it may have, if it has one.
  struct Need {
    size_t weight_bytes;
    size_t kv_cache_bytes;
    std::optional<double> memory_share;
  };

  // Refuses as CheckMemory does; the need is that of one load.
  Status Run(const Device& device, const Need& need);

 private:
  const size_t num_loads_;
  std::mutex mutex_;
  std::optional<Status> outcome_;  // guarded by mutex_: of the first, where memory is shared
};

struct WeightLoad {
  WeightCacheOptions cache;
  size_t kv_cache_bytes = 0;  // what the model will take beside its weights
  // Of the device's own memory, for the whole model; none: all that is free.
  std::optional<double> memory_share = std::nullopt;
  MemoryCheck* memory_check = nullptr;  // of all loads of a group; null: this one is alone
  const std::atomic<bool>* cancelled = nullptr;
  LoadProgress* progress = nullptr;
};

struct LoadedWeights {
  std::unique_ptr<WeightMemory> memory;
  WeightCacheReport cache;
};

// Loads weights by calling `load_into` with memory, possibly several times: first to plan, then to
// fill; what it keeps of the last call is valid. Memory is mapped from the cache if a file of these
// weights is there. Otherwise they are read, and written to the cache, whose file is then mapped.
// Processes that load the same weights at once wait for the first of them. Refuses weights for which
// there is not enough memory, before they are read.
Result<LoadedWeights> LoadWeights(const Device& device, const WeightLoad& load,
                                  const std::function<Status(WeightMemory&)>& load_into);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_WEIGHT_CACHE_H_
