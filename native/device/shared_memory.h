#ifndef AUTOGLM_DEVICE_SHARED_MEMORY_H_
#define AUTOGLM_DEVICE_SHARED_MEMORY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "base/status.h"
#include "device/memory.h"

namespace autoglm {

// Bounds the memory that a process shares, and counts it. All segments of a process share one.
class SharedMemoryBudget {
 public:
  // Sets the most bytes that may be shared at once; 0 at first.
  void SetLimit(size_t max_bytes);
  // Takes a place of this size; returns false if there is none.
  bool Take(size_t bytes);
  void Give(size_t bytes);
  size_t bytes() const;

 private:
  mutable std::mutex mutex_;  // guards the members below
  size_t max_bytes_ = 0;
  size_t bytes_ = 0;
  int num_segments_ = 0;
};

// Names one segment: a descriptor's number may name another one later.
using SharedToken = std::array<uint8_t, 16>;

// Memory with bytes that never change and that other processes of this user can map: a sealed file
// of memfd_create(2). It has no name in any folder, so the system frees it with its last descriptor
// and mapping, however the processes end. The token stands behind the bytes.
class SharedSegment {
 public:
  // Copies bytes into a new segment. Refuses if the budget has no room, or the system no memory or
  // no descriptor.
  static Result<SharedSegment> Copy(std::span<const std::byte> bytes,
                                    std::shared_ptr<SharedMemoryBudget> budget);

  SharedSegment(SharedSegment&& other) noexcept;
  SharedSegment& operator=(SharedSegment&& other) noexcept;
  ~SharedSegment();

  // This process's own view. What is written to it, others do not see.
  std::byte* data() const { return mapping_.as<std::byte>(); }
  size_t bytes() const { return bytes_; }
  int descriptor() const { return descriptor_; }
  const SharedToken& token() const { return token_; }

 private:
  SharedSegment() = default;

  int descriptor_ = -1;
  size_t bytes_ = 0;  // without the token
  SharedToken token_ = {};
  DeviceBuffer mapping_;
  // Outlives the segments, which JavaScript frees when it likes; the addon shares it.
  std::shared_ptr<SharedMemoryBudget> budget_;
};

// Where a segment of another process is.
struct SharedMemoryPlace {
  uint32_t process_id = 0;
  uint32_t descriptor = 0;
  size_t bytes = 0;
  SharedToken token = {};
};

// Maps a segment of another process, which stays valid when that process ends. Opens nothing but
// segments of this user; refuses one of another size or token, and one that its owner could still
// change or shorten: reading a page that is gone would end this process.
Result<DeviceBuffer> MapSharedSegment(const SharedMemoryPlace& place);

}  // namespace autoglm

#endif  // AUTOGLM_DEVICE_SHARED_MEMORY_H_
