#include "model/weights/read_ahead.h"

#include <algorithm>
#include <utility>

#include "device/memory.h"

namespace autoglm {
namespace {

// How far the disk may be ahead: enough to keep it busy, little beside a model.
constexpr size_t kAheadBytes = size_t{128} << 20;
constexpr size_t kPieceBytes = size_t{4} << 20;

}  // namespace

ReadAhead::ReadAhead(std::vector<FileRange> ranges) : ranges_(std::move(ranges)) {
  if (!ranges_.empty()) thread_ = std::thread([this] { Run(); });
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_ending_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void ReadAhead::Reached(const FileRange& range) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    reached_bytes_ += range.bytes;
  }
  wake_.notify_one();
}

bool ReadAhead::WaitForLoader(size_t asked_bytes) {
  std::unique_lock<std::mutex> lock(mutex_);
  wake_.wait(lock, [&] { return is_ending_ || asked_bytes < reached_bytes_ + kAheadBytes; });
  return !is_ending_;
}

void ReadAhead::Run() {
  size_t asked_bytes = 0;
  for (const FileRange& range : ranges_) {
    for (size_t begin = 0; begin < range.bytes; begin += kPieceBytes) {
      if (!WaitForLoader(asked_bytes)) return;
      const size_t bytes = std::min(kPieceBytes, range.bytes - begin);
      ReadFilePagesAhead(static_cast<const char*>(range.data) + begin, bytes);
      asked_bytes += bytes;
    }
  }
}

}  // namespace autoglm
