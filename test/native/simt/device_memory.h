#ifndef AUTOGLM_TEST_NATIVE_SIMT_DEVICE_MEMORY_H_
#define AUTOGLM_TEST_NATIVE_SIMT_DEVICE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace autoglm::simt {

// One stretch of addresses that holds the shared memory of the block that runs, and behind it the
// memory of the emulated GPUs: every allocation has a red zone behind it. Outside of copies and
// launches none of it may be touched, so that host code that uses a device's pointer faults as it
// would on a machine with a GPU.
class DeviceMemory {
 public:
  static constexpr size_t kSharedBytes = size_t{256} << 10;
  static constexpr size_t kBytes = size_t{4} << 30;
  static constexpr size_t kAlignment = 256;

  // Returns the one of this process, on which everything here works.
  static DeviceMemory& Get() {
    static DeviceMemory memory;
    return memory;
  }

  // While one exists, the memory may be touched.
  class Access {
   public:
    Access();
    ~Access();
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;
  };

  // Takes memory of a GPU. Returns null if there is no room left.
  void* Allocate(size_t bytes, int gpu);
  // Takes memory of a GPU that is the first pages of a file, which other processes may map as well.
  void* AllocateOf(int file, size_t bytes, int gpu);
  void Free(void* data);

  // Makes the first bytes of shared memory the ones that are allocated.
  void SetSharedBytes(size_t bytes);
  char* shared() const { return base_; }

  // Returns the place from the beginning of the stretch, at least kBytes if the address is outside.
  size_t OffsetOf(const void* p) const {
    return static_cast<size_t>(static_cast<const char*>(p) - base_);
  }
  static bool IsShared(size_t offset) { return offset < kSharedBytes; }
  bool IsAllocated(size_t offset, size_t bytes) const;
  // Returns the GPU whose allocated memory this is.
  size_t OwnerOf(size_t offset) const { return allocated_[offset / kGranule] / kOwnerUnit; }
  // Returns the end of what was ever allocated.
  size_t end() const { return end_; }

  // Returns "byte 40 of the allocation of 64 bytes".
  std::string Describe(size_t offset) const;

 private:
  DeviceMemory();
  void MarkAllocated(size_t offset, size_t bytes, int owner);
  void Protect(int protection);

  // Number of bytes of memory whose allocation one byte of allocated_ describes: how many of them,
  // from the first, are allocated, and above that the GPU's number.
  static constexpr size_t kGranule = 16;
  static constexpr uint8_t kOwnerUnit = 32;
  static constexpr int kNobody = -1;

  char* base_;
  uint8_t* allocated_;  // [kBytes / kGranule]
  size_t end_ = kSharedBytes;
  size_t shared_bytes_ = 0;
  int num_accesses_ = 0;
  std::map<size_t, size_t> allocations_;  // offset to bytes
  std::map<size_t, size_t> of_files_;     // those that are pages of files: offset to bytes of pages
  std::multimap<size_t, size_t> free_;    // room, red zone included, to offset
};

}  // namespace autoglm::simt

#endif  // AUTOGLM_TEST_NATIVE_SIMT_DEVICE_MEMORY_H_
