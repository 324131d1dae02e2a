#include "model/decoder/row_pool.h"

#include <utility>

#include "base/array_checks.h"

namespace autoglm {

Status RowPool::Allocate(size_t bytes) {
  if (bytes == 0) return Status();
  if (device_.ops->copy == nullptr) {
    return InvalidRequest("rowPoolBytes: the device has no memory of its own");
  }
  Result<DeviceBuffer> memory = device_.ops->allocate(*device_.context, bytes);
  if (!memory.ok()) return memory.status();
  memory_ = std::move(memory.value());
  bytes_ = bytes;
  return Status();
}

std::vector<std::string> RowPool::ReachableDevices() const {
  if (bytes_ == 0) return {};
  return device_.ops->reachable_devices(*device_.context);
}

Status RowPool::Open(int64_t source, const MemoryHandle& handle, size_t bytes) {
  CHECK(!sources_.contains(source));
  if (bytes_ == 0) return InvalidRequest("row pool: the decoder has none");
  Result<DeviceBuffer> memory = device_.ops->open_shared(*device_.context, handle, bytes);
  if (!memory.ok()) return memory.status();
  sources_.emplace(source, std::move(memory.value()));
  return Status();
}

void RowPool::Close(int64_t source) { sources_.erase(source); }

Status RowPool::Copy(const RowCopy& copy) {
  const auto found = sources_.find(copy.source);
  if (found == sources_.end()) {
    return InvalidRequest("row pool: no pool " + std::to_string(copy.source) + " is open");
  }
  const DeviceBuffer& source = found->second;
  if (!IsInside(copy.source_offset, copy.bytes, source.bytes()) ||
      !IsInside(copy.target_offset, copy.bytes, bytes_)) {
    return InvalidRequest("row pool: " + std::to_string(copy.bytes) + " bytes from byte " +
                          std::to_string(copy.source_offset) + " of " +
                          std::to_string(source.bytes()) + " to byte " +
                          std::to_string(copy.target_offset) + " of " + std::to_string(bytes_));
  }
  device_.ops->copy(*device_.context, {.source = source.as<char>() + copy.source_offset,
                                       .bytes = copy.bytes,
                                       .target = memory_.as<char>() + copy.target_offset});
  device_.ops->finish(*device_.context);
  return Status();
}

void RowPool::Read(size_t offset, const MatrixView& rows) {
  CHECK(rows.stride == rows.columns);
  device_.ops->copy(*device_.context,
                    {.source = memory_.as<char>() + offset,
                     .bytes = static_cast<size_t>(rows.rows * rows.columns) * sizeof(float),
                     .target = rows.data});
}

}  // namespace autoglm
