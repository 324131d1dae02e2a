#ifndef AUTOGLM_MODEL_WEIGHT_CACHE_FILE_H_
#define AUTOGLM_MODEL_WEIGHT_CACHE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "device/memory.h"
#include "model/weights/weight_memory.h"

// A file of packed weights that processes map for reading:
//
//   header    CacheHeader
//   key       text that names checkpoint, formats and layout
//   table     a CacheEntry for each weight, in the order of loading
//   weights   each aligned to 64 bytes, the first to a page
//
// Header, key and table are checked whenever a file is opened; the weights, which are read when they
// are used, when they have been written.

namespace autoglm {

class WeightCacheFile {
 public:
  // Opens a file. Refuses one that is damaged or cut short, that belongs to another user or can be
  // written by others, or that has another key; the message says which. Returns none if there is no
  // file.
  static Result<std::optional<WeightCacheFile>> Open(const std::string& path,
                                                     const std::string& key);

  const std::string& path() const { return path_; }
  size_t bytes() const { return memory_.bytes(); }
  size_t num_weights() const { return entries_.size(); }
  const WeightEntry& entry(size_t i) const { return entries_[i].entry; }
  const void* data(size_t i) const { return memory_.as<char>() + entries_[i].offset; }
  // Reads all weights and refuses the file if one is not what was written.
  Status CheckWeights() const;

 private:
  struct Entry {
    WeightEntry entry;
    uint64_t offset;  // of the file; offset + bytes is inside it
    uint64_t checksum;
  };

  std::string path_;
  DeviceBuffer memory_;
  std::vector<Entry> entries_;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_WEIGHT_CACHE_FILE_H_
