#include "model/weights/build_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace autoglm {
namespace {

constexpr std::chrono::milliseconds kPollTime(50);

}  // namespace

BuildLock::BuildLock(const std::string& path, const std::atomic<bool>* cancelled)
    : file_(open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644)) {
  if (file_ < 0) return;
  while (flock(file_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return;
    if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) return;
    std::this_thread::sleep_for(kPollTime);
  }
}

BuildLock::~BuildLock() {
  if (file_ >= 0) close(file_);
}

}  // namespace autoglm
