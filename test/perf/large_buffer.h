#ifndef AUTOGLM_TEST_PERF_LARGE_BUFFER_H_
#define AUTOGLM_TEST_PERF_LARGE_BUFFER_H_

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>

namespace autoglm::perf {

// Zeroed memory, with huge pages if the system grants them, as for the weights.
class LargeBuffer {
 public:
  explicit LargeBuffer(size_t bytes)
      : data_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
        bytes_(bytes) {
    if (data_ == MAP_FAILED) std::abort();
    madvise(data_, bytes, MADV_HUGEPAGE);
  }
  ~LargeBuffer() { munmap(data_, bytes_); }
  LargeBuffer(const LargeBuffer&) = delete;
  LargeBuffer& operator=(const LargeBuffer&) = delete;

  char* data() const { return static_cast<char*>(data_); }
  float* floats() const { return static_cast<float*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  void* data_;
  size_t bytes_;
};

}  // namespace autoglm::perf

#endif  // AUTOGLM_TEST_PERF_LARGE_BUFFER_H_
