#ifndef AUTOGLM_MODEL_READ_AHEAD_H_
#define AUTOGLM_MODEL_READ_AHEAD_H_

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

#include "model/weights/weight_memory.h"

namespace autoglm {

// Has the system read files ahead of a loader that takes their parts in a known order, so that the
// disk works while weights are packed. A thread of its own asks, because asking may wait.
class ReadAhead {
 public:
  // `ranges` are in the order in which Reached will be called with them.
  explicit ReadAhead(std::vector<FileRange> ranges);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // Says that the loader begins with a range.
  void Reached(const FileRange& range);

 private:
  void Run();
  // Waits until the loader is near enough; returns false when the thread is to end.
  bool WaitForLoader(size_t asked_bytes);

  const std::vector<FileRange> ranges_;
  std::mutex mutex_;
  std::condition_variable wake_;
  size_t reached_bytes_ = 0;  // guarded by mutex_: of the ranges with which the loader has begun
  bool is_ending_ = false;    // guarded by mutex_
  std::thread thread_;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_READ_AHEAD_H_
