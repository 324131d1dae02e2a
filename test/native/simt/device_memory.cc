#include "simt/device_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "simt/shadow.h"

namespace autoglm::simt {
namespace {

constexpr size_t kRedZoneBytes = 256;
constexpr size_t kPageBytes = 4096;
constexpr size_t kLargePageBytes = size_t{2} << 20;
// What memory holds that nobody wrote: NaNs, and indices that are negative. Where there is more of it,
// reports of such reads have to do, and pages that nobody needs stay the system's.
constexpr int kPoison = 0xff;
constexpr size_t kMaxPoisonedBytes = size_t{1} << 20;

size_t RoundUp(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

char* Reserve(size_t bytes, int protection) {
  void* data = mmap(nullptr, bytes + kLargePageBytes, protection,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(data != MAP_FAILED);
  const size_t address = RoundUp(reinterpret_cast<size_t>(data), kLargePageBytes);
  return reinterpret_cast<char*>(address);
}

}  // namespace

DeviceMemory::DeviceMemory()
    : base_(Reserve(kBytes, PROT_NONE)),
      allocated_(reinterpret_cast<uint8_t*>(
          Reserve(kBytes / kGranule, PROT_READ | PROT_WRITE))) {
  // Whoever changes the protection of few large pages is soon done.
  madvise(base_, kBytes, MADV_HUGEPAGE);
}

void DeviceMemory::Protect(int protection) {
  CHECK(mprotect(base_, RoundUp(end_, kLargePageBytes), protection) == 0);
}

DeviceMemory::Access::Access() {
  DeviceMemory& memory = Get();
  if (memory.num_accesses_++ == 0) memory.Protect(PROT_READ | PROT_WRITE);
}

DeviceMemory::Access::~Access() {
  DeviceMemory& memory = Get();
  if (--memory.num_accesses_ == 0) memory.Protect(PROT_NONE);
}

void* DeviceMemory::Allocate(size_t bytes, int gpu) {
  CHECK(gpu >= 0 && gpu < 256 / kOwnerUnit);
  const size_t room = RoundUp(bytes, kAlignment) + kRedZoneBytes;
  size_t offset = end_;
  const auto reused = free_.find(room);
  if (reused != free_.end()) {
    offset = reused->second;
    free_.erase(reused);
  } else {
    if (room > kBytes - end_) return nullptr;
    end_ += room;
  }
  allocations_[offset] = bytes;
  MarkAllocated(offset, bytes, gpu);
  Shadow::Get().Forget(offset, bytes);
  if (bytes <= kMaxPoisonedBytes) {
    const Access access;
    std::memset(base_ + offset, kPoison, room);
  }
  return base_ + offset;
}

void* DeviceMemory::AllocateOf(int file, size_t bytes, int gpu) {
  CHECK(gpu >= 0 && gpu < 256 / kOwnerUnit);
  const size_t pages = RoundUp(bytes, kPageBytes);
  const size_t offset = RoundUp(end_, kPageBytes);
  if (offset > kBytes || pages + kPageBytes > kBytes - offset) return nullptr;
  const int protection = num_accesses_ > 0 ? PROT_READ | PROT_WRITE : PROT_NONE;
  CHECK(mmap(base_ + offset, pages, protection, MAP_SHARED | MAP_FIXED, file, 0) != MAP_FAILED);
  // The page behind is its red zone.
  end_ = offset + pages + kPageBytes;
  if (num_accesses_ > 0) Protect(PROT_READ | PROT_WRITE);
  allocations_[offset] = bytes;
  of_files_[offset] = pages;
  MarkAllocated(offset, bytes, gpu);
  Shadow::Get().Forget(offset, bytes);
  return base_ + offset;
}

void DeviceMemory::Free(void* data) {
  const size_t offset = OffsetOf(data);
  const auto found = allocations_.find(offset);
  CHECK(found != allocations_.end());
  MarkAllocated(offset, found->second, kNobody);
  const auto of_file = of_files_.find(offset);
  if (of_file == of_files_.end()) {
    free_.emplace(RoundUp(found->second, kAlignment) + kRedZoneBytes, offset);
  } else {
    // Nobody is given these addresses again.
    CHECK(mmap(base_ + offset, of_file->second, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED);
    of_files_.erase(of_file);
  }
  allocations_.erase(found);
}

void DeviceMemory::SetSharedBytes(size_t bytes) {
  CHECK(bytes <= kSharedBytes);
  MarkAllocated(0, shared_bytes_, kNobody);
  MarkAllocated(0, bytes, 0);
  shared_bytes_ = bytes;
}

void DeviceMemory::MarkAllocated(size_t offset, size_t bytes, int owner) {
  const auto mark = [&](size_t count) {
    if (owner == kNobody) return uint8_t{0};
    return static_cast<uint8_t>(owner * kOwnerUnit + static_cast<int>(count));
  };
  const size_t whole = bytes / kGranule;
  std::memset(allocated_ + offset / kGranule, mark(kGranule), whole);
  if (bytes % kGranule != 0) allocated_[offset / kGranule + whole] = mark(bytes % kGranule);
}

bool DeviceMemory::IsAllocated(size_t offset, size_t bytes) const {
  for (size_t begin = offset; begin < offset + bytes;) {
    const size_t granule_end = (begin / kGranule + 1) * kGranule;
    const size_t end = std::min(offset + bytes, granule_end);
    if (end - (granule_end - kGranule) > allocated_[begin / kGranule] % kOwnerUnit) return false;
    begin = end;
  }
  return true;
}

std::string DeviceMemory::Describe(size_t offset) const {
  if (IsShared(offset)) {
    return "byte " + std::to_string(offset) + " of " + std::to_string(shared_bytes_) +
           " bytes of shared memory";
  }
  const auto next = allocations_.upper_bound(offset);
  if (next == allocations_.begin()) return "device memory before the first allocation";
  const auto [begin, bytes] = *std::prev(next);
  return "byte " + std::to_string(offset - begin) + " of a device allocation of " +
         std::to_string(bytes) + " bytes";
}

}  // namespace autoglm::simt
