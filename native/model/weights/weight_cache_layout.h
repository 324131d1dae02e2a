#ifndef AUTOGLM_MODEL_WEIGHT_CACHE_LAYOUT_H_
#define AUTOGLM_MODEL_WEIGHT_CACHE_LAYOUT_H_

#include <cstddef>
#include <cstdint>

// The fixed parts of a file of packed weights, see weight_cache_file.h. Numbers are little-endian,
// as the weights are.

namespace autoglm {

inline constexpr char kCacheMagic[8] = {'A', 'G', 'L', 'M', 'W', 'G', 'T', 'S'};
inline constexpr uint32_t kCacheVersion = 1;
inline constexpr size_t kCachePage = 4096;
inline constexpr size_t kCacheAlignment = 64;
// Limits that keep a damaged header from taking memory.
inline constexpr uint64_t kMaxCacheKeyBytes = 1 << 20;
inline constexpr uint64_t kMaxCacheEntries = 1 << 20;

struct CacheHeader {
  char magic[8];
  uint32_t version;
  uint32_t reserved;  // 0
  uint64_t file_bytes;
  uint64_t key_bytes;
  uint64_t num_entries;
  uint64_t data_offset;      // of the first weight
  uint64_t table_checksum;   // of key and table
  uint64_t header_checksum;  // of the fields above
};
static_assert(sizeof(CacheHeader) == 64);

struct CacheEntry {
  int64_t columns;
  int64_t depth;
  int64_t group_size;
  uint64_t offset;
  uint64_t bytes;
  uint64_t checksum;
  uint8_t type;         // WeightType
  uint8_t scale_dtype;  // Dtype
  uint8_t has_zero_points;
  uint8_t quantizes_input;
  uint8_t is_packed;
  uint8_t reserved[3];  // 0
};
static_assert(sizeof(CacheEntry) == 56);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_WEIGHT_CACHE_LAYOUT_H_
