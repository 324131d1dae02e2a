#include "model/weights/weight_cache_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/array_checks.h"
#include "base/checksum.h"
#include "model/weights/weight_cache_layout.h"

namespace autoglm {
namespace {

void Unmap(void* data, size_t bytes, void*) { munmap(data, bytes); }

Status Refused(const std::string& path, const std::string& why) {
  return InvalidCheckpoint(path + ": " + why);
}

uint64_t HeaderChecksum(const CacheHeader& header) {
  return Checksum(&header, offsetof(CacheHeader, header_checksum));
}

// Refuses a file that someone else may change while it is mapped.
Status CheckOwner(const std::string& path, const struct stat& info) {
  if (!S_ISREG(info.st_mode)) return Refused(path, "is not a regular file");
  const bool is_ours = info.st_uid == geteuid() || info.st_uid == 0;
  if (!is_ours) return Refused(path, "belongs to user " + std::to_string(info.st_uid));
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) return Refused(path, "can be written by others");
  return Status();
}

// Maps a file for reading. Sets `memory` to nothing if there is no file.
Status Map(const std::string& path, DeviceBuffer& memory) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return Status();
  if (file < 0) return Refused(path, std::strerror(errno));
  struct stat info = {};
  Status status = fstat(file, &info) == 0 ? CheckOwner(path, info)
                                          : Refused(path, std::strerror(errno));
  const size_t bytes = static_cast<size_t>(info.st_size);
  if (status.ok() && bytes < sizeof(CacheHeader)) status = Refused(path, "is cut short");
  if (status.ok()) {
    void* const data = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0);
    if (data == MAP_FAILED) {
      status = Refused(path, "cannot be mapped to memory");
    } else {
      memory = DeviceBuffer(data, bytes, Unmap);
    }
  }
  close(file);
  return status;
}

// Refuses a header that does not fit the file.
Status CheckHeader(const std::string& path, const CacheHeader& header, size_t file_bytes) {
  if (std::memcmp(header.magic, kCacheMagic, sizeof(kCacheMagic)) != 0) {
    return Refused(path, "is not a file of packed weights");
  }
  if (header.version != kCacheVersion) {
    return Refused(path, "has version " + std::to_string(header.version) + ", expected " +
                             std::to_string(kCacheVersion));
  }
  if (header.header_checksum != HeaderChecksum(header)) {
    return Refused(path, "has a damaged header");
  }
  if (header.file_bytes != file_bytes) {
    return Refused(path, "has " + std::to_string(file_bytes) + " bytes, expected " +
                             std::to_string(header.file_bytes));
  }
  const bool has_limits =
      header.key_bytes <= kMaxCacheKeyBytes && header.num_entries <= kMaxCacheEntries;
  const uint64_t table_end =
      has_limits
          ? sizeof(CacheHeader) + header.key_bytes + header.num_entries * sizeof(CacheEntry)
          : file_bytes + 1;
  if (header.data_offset > file_bytes || table_end > header.data_offset ||
      header.data_offset % kCachePage != 0) {
    return Refused(path, "has a damaged header");
  }
  return Status();
}

// Reads an entry of the table. Returns false if it is no weight inside the file.
bool ReadEntry(const CacheEntry& stored, const CacheHeader& header, WeightEntry& entry) {
  const bool is_inside = stored.offset >= header.data_offset &&
                         IsInside(stored.offset, stored.bytes, header.file_bytes) &&
                         stored.offset % kCacheAlignment == 0;
  if (!is_inside || stored.type > static_cast<uint8_t>(WeightType::kInt4) ||
      stored.scale_dtype > static_cast<uint8_t>(Dtype::kFloat16) || stored.columns < 0 ||
      stored.depth < 0 || stored.group_size < 0 || stored.group_size > kMaxGroupSize) {
    return false;
  }
  entry.is_packed = stored.is_packed != 0;
  entry.bytes = stored.bytes;
  entry.shape = {.format = {.type = static_cast<WeightType>(stored.type),
                            .group_size = stored.group_size,
                            .scale_dtype = static_cast<Dtype>(stored.scale_dtype),
                            .has_zero_points = stored.has_zero_points != 0,
                            .quantizes_input = stored.quantizes_input != 0},
                 .columns = stored.columns,
                 .depth = stored.depth};
  return true;
}

}  // namespace

Result<std::optional<WeightCacheFile>> WeightCacheFile::Open(const std::string& path,
                                                             const std::string& key) {
  WeightCacheFile file;
  file.path_ = path;
  const Status mapped = Map(path, file.memory_);
  if (!mapped.ok()) return mapped;
  if (file.memory_.data() == nullptr) return std::optional<WeightCacheFile>();

  CacheHeader header;
  const char* const start = file.memory_.as<char>();
  std::memcpy(&header, start, sizeof(header));
  const Status checked = CheckHeader(path, header, file.memory_.bytes());
  if (!checked.ok()) return checked;
  const char* const stored_key = start + sizeof(header);
  const char* const table = stored_key + header.key_bytes;
  const size_t table_bytes = header.num_entries * sizeof(CacheEntry);
  if (Checksum(stored_key, header.key_bytes + table_bytes) != header.table_checksum) {
    return Refused(path, "has a damaged table");
  }
  if (std::string_view(stored_key, header.key_bytes) != key) {
    return Refused(path, "is of another checkpoint, format or layout");
  }
  for (uint64_t i = 0; i < header.num_entries; ++i) {
    CacheEntry stored;
    std::memcpy(&stored, table + i * sizeof(stored), sizeof(stored));
    Entry entry = {{}, stored.offset, stored.checksum};
    if (!ReadEntry(stored, header, entry.entry)) return Refused(path, "has a damaged table");
    file.entries_.push_back(entry);
  }
  return std::optional<WeightCacheFile>(std::move(file));
}

Status WeightCacheFile::CheckWeights() const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (Checksum(data(i), entries_[i].entry.bytes) != entries_[i].checksum) {
      return Refused(path_, "weight " + std::to_string(i) + " is damaged");
    }
  }
  return Status();
}

}  // namespace autoglm
