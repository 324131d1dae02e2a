#ifndef AUTOGLM_MODEL_BUILD_LOCK_H_
#define AUTOGLM_MODEL_BUILD_LOCK_H_

#include <atomic>
#include <string>

namespace autoglm {

// Lets one process at a time, of those that lock the same path, build a file. The lock ends with the
// object or the process.
class BuildLock {
 public:
  // Waits for the lock, until `cancelled`, which may be null, is set. A folder that cannot be
  // written or a file system without locks gives none: then several may build at once, which costs
  // work and harms nothing.
  BuildLock(const std::string& path, const std::atomic<bool>* cancelled);
  ~BuildLock();
  BuildLock(const BuildLock&) = delete;
  BuildLock& operator=(const BuildLock&) = delete;

 private:
  int file_;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_BUILD_LOCK_H_
