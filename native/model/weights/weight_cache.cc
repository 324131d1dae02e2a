#include "model/weights/weight_cache.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/checksum.h"
#include "device/host_memory.h"
#include "model/weights/build_lock.h"
#include "model/weights/mapped_weights.h"
#include "model/weights/memory_share.h"
#include "model/weights/weight_cache_file.h"
#include "model/weights/weight_cache_writer.h"

namespace autoglm {
namespace {

namespace fs = std::filesystem;
using Outcome = WeightCacheReport::Outcome;
using LoadInto = std::function<Status(WeightMemory&)>;

// The place of a cache's files. Options, device and the checkpoint's directory decide the name; what
// the checkpoint holds stands in the file, so that a new version of it takes the old one's place.
struct CachePlace {
  std::string path;
  std::string key;

  CachePlace(const Device& device, const WeightCacheOptions& options) {
    std::error_code ignored;
    const fs::path model = fs::weakly_canonical(options.model, ignored);
    const std::string settings = "directory " + model.string() + "\n" +
                                 device.ops->packed_layout(*device.context) + "\n" +
                                 options.settings + "\n";
    char hash[17];
    std::snprintf(hash, sizeof(hash), "%016llx",
                  static_cast<unsigned long long>(Checksum(settings.data(), settings.size())));
    path = options.folder + "/" + model.filename().string() + "-" + hash + ".weights";
    key = settings + options.version;
  }
};

// Loads weights from the file. Returns none, with the reason in `reason`, if there is no file with
// all of them.
std::unique_ptr<WeightMemory> MapWeights(const CachePlace& place, const LoadInto& load_into,
                                         std::string& reason) {
  Result<std::optional<WeightCacheFile>> file = WeightCacheFile::Open(place.path, place.key);
  if (!file.ok()) reason = file.status().message();
  if (!file.ok() || !file.value().has_value()) return nullptr;
  auto memory = std::make_unique<MappedWeights>(std::move(*file.value()));
  const Status loaded = load_into(*memory);
  if (loaded.ok() && memory->IsAllTaken()) return memory;
  reason = loaded.ok() ? place.path + ": has more weights than the model" : loaded.message();
  return nullptr;
}

// Writes the weights to the cache and maps them.
std::unique_ptr<WeightMemory> WriteAndMap(const CachePlace& place, const WeightLoad& load,
                                          const AllocatedWeights& weights,
                                          const LoadInto& load_into, std::string& reason) {
  const auto may_go_on = [&](size_t bytes) {
    if (load.progress != nullptr) load.progress->done_bytes += bytes;
    return load.cancelled == nullptr || !load.cancelled->load(std::memory_order_relaxed);
  };
  const std::string path = place.path + "." + std::to_string(getpid()) + ".tmp";
  const Status written =
      WriteWeightCache(path, place.path, {place.key, weights.weights()}, may_go_on);
  if (written.ok()) return MapWeights(place, load_into, reason);
  reason = written.message();
  return nullptr;
}

// Removes what a process left that ended while it wrote. Called with the lock.
void RemoveUnfinished(const CachePlace& place) {
  const fs::path path(place.path);
  const std::string prefix = path.filename().string() + ".";
  std::error_code error;
  fs::directory_iterator entry(path.parent_path(), error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (name.starts_with(prefix) && name.ends_with(".tmp")) fs::remove(entry->path(), ignored);
  }
}

// Reads the weights to memory of the device.
Result<std::unique_ptr<AllocatedWeights>> ReadWeights(const Device& device, const WeightLoad& load,
                                                      const LoadInto& load_into) {
  PlannedWeights plan;
  const Status planned = load_into(plan);
  if (!planned.ok()) return planned;
  MemoryCheck alone(1);
  MemoryCheck& check = load.memory_check == nullptr ? alone : *load.memory_check;
  const Status enough = check.Run(
      device, {plan.bytes(), load.kv_cache_bytes, load.memory_share});
  if (!enough.ok()) return enough;
  if (load.progress != nullptr) {
    load.progress->total_bytes += plan.bytes() * (load.cache.folder.empty() ? 1 : 2);
  }
  auto memory = std::make_unique<AllocatedWeights>(device, plan);
  const Status loaded = load_into(*memory);
  if (!loaded.ok()) return loaded;
  return memory;
}

}  // namespace

Status CheckMemory(size_t weight_bytes, size_t kv_cache_bytes, const FreeMemory& free) {
  if (weight_bytes + kv_cache_bytes <= free.bytes) return Status();
  const std::string cache =
      kv_cache_bytes == 0 ? "" : " and a KV cache of " + GibText(kv_cache_bytes);
  return OutOfMemory("the model does not fit in memory: weights of " + GibText(weight_bytes) +
                     cache + "; " + free.in_words);
}

Status MemoryCheck::Run(const Device& device, const Need& need) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (outcome_.has_value()) return *outcome_;
  const Result<FreeMemory> found = FindFreeMemory(device, need.memory_share);
  if (!found.ok()) return found.status();
  const FreeMemory& free = found.value();
  if (!free.is_shared) return CheckMemory(need.weight_bytes, need.kv_cache_bytes, free);
  outcome_ = CheckMemory(num_loads_ * need.weight_bytes, num_loads_ * need.kv_cache_bytes, free);
  return *outcome_;
}

Result<LoadedWeights> LoadWeights(const Device& device, const WeightLoad& load,
                                  const LoadInto& load_into) {
  LoadedWeights loaded;
  const bool maps_files = !device.ops->packed_layout(*device.context).empty();
  if (load.cache.folder.empty() || !maps_files) {
    WeightLoad without_cache = load;
    without_cache.cache.folder.clear();
    Result<std::unique_ptr<AllocatedWeights>> read = ReadWeights(device, without_cache, load_into);
    if (!read.ok()) return read.status();
    loaded.memory = std::move(read.value());
    if (!load.cache.folder.empty()) {
      loaded.cache = {Outcome::kUnused, "", "a GPU's weights cannot be pages of a file"};
    }
    return loaded;
  }
  const CachePlace place(device, load.cache);
  WeightCacheReport& report = loaded.cache;
  report = {Outcome::kMapped, place.path, ""};
  loaded.memory = MapWeights(place, load_into, report.reason);
  if (loaded.memory != nullptr) return loaded;

  std::error_code ignored;  // a folder that cannot be made is noticed when its file is written
  fs::create_directories(load.cache.folder, ignored);
  const BuildLock lock(place.path + ".lock", load.cancelled);
  std::string first_reason = std::exchange(report.reason, "");
  loaded.memory = MapWeights(place, load_into, report.reason);
  if (loaded.memory != nullptr) return loaded;
  RemoveUnfinished(place);
  Result<std::unique_ptr<AllocatedWeights>> read = ReadWeights(device, load, load_into);
  if (!read.ok()) return read.status();
  report = {Outcome::kWritten, place.path, std::move(first_reason)};
  std::string failure;
  loaded.memory = WriteAndMap(place, load, *read.value(), load_into, failure);
  if (loaded.memory != nullptr) return loaded;
  report = {Outcome::kUnused, place.path, failure};
  // The model may have taken weights of the file, which is gone: it takes its own again.
  read.value()->Rewind();
  const Status taken = load_into(*read.value());
  if (!taken.ok()) return taken;
  loaded.memory = std::move(read.value());
  return loaded;
}

}  // namespace autoglm
