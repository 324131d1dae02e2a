#include "model/weights/weight_cache_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <optional>

#include "base/checksum.h"
#include "model/weights/weight_cache_file.h"
#include "model/weights/weight_cache_layout.h"

namespace autoglm {
namespace {

constexpr size_t kPieceBytes = size_t{16} << 20;

uint64_t RoundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

CacheEntry MakeEntry(const HeldWeight& weight, uint64_t offset) {
  const WeightShape& shape = weight.entry.shape;
  CacheEntry entry = {};
  entry.columns = shape.columns;
  entry.depth = shape.depth;
  entry.group_size = shape.format.group_size;
  entry.offset = offset;
  entry.bytes = weight.entry.bytes;
  entry.checksum = Checksum(weight.data, weight.entry.bytes);
  entry.type = static_cast<uint8_t>(shape.format.type);
  entry.scale_dtype = static_cast<uint8_t>(shape.format.scale_dtype);
  entry.has_zero_points = shape.format.has_zero_points;
  entry.quantizes_input = shape.format.quantizes_input;
  entry.is_packed = weight.entry.is_packed;
  return entry;
}

// A file that is being written. It is removed unless it is kept.
class NewFile {
 public:
  explicit NewFile(const std::string& path)
      : path_(path),
        file_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644)) {}
  ~NewFile() {
    if (file_ < 0) return;
    close(file_);
    if (!is_kept_) unlink(path_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  bool is_open() const { return file_ >= 0; }
  // Takes the room of the whole file, so that a full disk is noticed first.
  Status Reserve(uint64_t bytes) {
    const int error = posix_fallocate(file_, 0, static_cast<off_t>(bytes));
    if (error == 0 || error == EOPNOTSUPP || error == EINVAL) return Status();
    return Failure(error);
  }
  Status Resize(uint64_t bytes) {
    return ftruncate(file_, static_cast<off_t>(bytes)) == 0 ? Status() : Failure(errno);
  }
  Status Write(const void* data, size_t bytes, uint64_t offset) {
    const char* p = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t written = pwrite(file_, p, bytes, static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return Failure(written < 0 ? errno : ENOSPC);
      p += written;
      bytes -= static_cast<size_t>(written);
      offset += static_cast<uint64_t>(written);
    }
    return Status();
  }
  Status Sync() { return fsync(file_) == 0 ? Status() : Failure(errno); }
  // Renames the file to `target`, in the place of one that is there.
  Status Keep(const std::string& target) {
    if (rename(path_.c_str(), target.c_str()) != 0) return Failure(errno);
    is_kept_ = true;
    return Status();
  }
  Status Failure(int error) const { return EngineFailed(path_ + ": " + std::strerror(error)); }

 private:
  const std::string path_;
  const int file_;
  bool is_kept_ = false;
};

// Makes a rename last: the folder is a file of its own.
void SyncFolderOf(const std::string& path) {
  const std::string folder = path.substr(0, path.find_last_of('/'));
  const int file = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return;
  fsync(file);
  close(file);
}

}  // namespace

Status WriteWeightCache(const std::string& path, const std::string& target,
                        const WeightCacheContent& content,
                        const std::function<bool(size_t bytes)>& may_go_on) {
  const std::string& key = content.key;
  const size_t table_bytes = content.weights.size() * sizeof(CacheEntry);
  uint64_t offset = RoundUp(sizeof(CacheHeader) + key.size() + table_bytes, kCachePage);
  CacheHeader header = {};
  std::memcpy(header.magic, kCacheMagic, sizeof(kCacheMagic));
  header.version = kCacheVersion;
  header.key_bytes = key.size();
  header.num_entries = content.weights.size();
  header.data_offset = offset;
  for (const HeldWeight& weight : content.weights) {
    offset += RoundUp(weight.entry.bytes, kCacheAlignment);
  }
  header.file_bytes = offset;

  NewFile file(path);
  if (!file.is_open()) return file.Failure(errno);
  const Status reserved = file.Reserve(header.file_bytes);
  if (!reserved.ok()) return reserved;
  std::string table = key;
  offset = header.data_offset;
  for (const HeldWeight& weight : content.weights) {
    const CacheEntry entry = MakeEntry(weight, offset);
    table.append(reinterpret_cast<const char*>(&entry), sizeof(entry));
    for (size_t begin = 0; begin < weight.entry.bytes; begin += kPieceBytes) {
      const size_t bytes = std::min(kPieceBytes, weight.entry.bytes - begin);
      const Status written =
          file.Write(static_cast<const char*>(weight.data) + begin, bytes, offset + begin);
      if (!written.ok()) return written;
      if (!may_go_on(bytes)) return Status(Reason::kEngineClosed, "closed while it was loading");
    }
    offset += RoundUp(weight.entry.bytes, kCacheAlignment);
  }
  header.table_checksum = Checksum(table.data(), table.size());
  header.header_checksum = Checksum(&header, offsetof(CacheHeader, header_checksum));
  Status written = file.Resize(header.file_bytes);  // with the padding of the last weight
  if (written.ok()) written = file.Write(table.data(), table.size(), sizeof(header));
  if (written.ok()) written = file.Write(&header, sizeof(header), 0);
  if (written.ok()) written = file.Sync();
  if (!written.ok()) return written;

  const Result<std::optional<WeightCacheFile>> opened = WeightCacheFile::Open(path, key);
  if (!opened.ok()) return opened.status();
  if (!opened.value().has_value()) return file.Failure(ENOENT);
  const Status intact = opened.value()->CheckWeights();
  if (!intact.ok()) return intact;
  const Status kept = file.Keep(target);
  if (kept.ok()) SyncFolderOf(target);
  return kept;
}

}  // namespace autoglm
