#ifndef AUTOGLM_MODEL_WEIGHT_CACHE_WRITER_H_
#define AUTOGLM_MODEL_WEIGHT_CACHE_WRITER_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/weights/weight_memory.h"

namespace autoglm {

// What a file of packed weights, see weight_cache_file.h, is to hold.
struct WeightCacheContent {
  std::string key;
  const std::vector<HeldWeight>& weights;
};

// Writes a file at `path`, checks what was written, and renames it to `target`, so that there is the
// whole file or none; leaves nothing at `path`. `may_go_on` is asked between pieces with the number
// of bytes written.
Status WriteWeightCache(const std::string& path, const std::string& target,
                        const WeightCacheContent& content,
                        const std::function<bool(size_t bytes)>& may_go_on);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_WEIGHT_CACHE_WRITER_H_
