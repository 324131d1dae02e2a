#include "device/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace autoglm {
namespace {

constexpr char kName[] = "autoglm-rows";
// What /proc calls a file of that name.
constexpr char kLink[] = "/memfd:autoglm-rows (deleted)";
constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
// MADV_POPULATE_READ, which older headers lack.
constexpr int kPopulateRead = 22;
// Each segment keeps a descriptor, of which a process may have few.
constexpr int kMaxSegments = 256;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }

 private:
  const int number_;
};

Status SystemRefused(const std::string& what) {
  return EngineFailed("shared memory: " + what + ": " + std::strerror(errno));
}

void Unmap(void* data, size_t bytes, void*) { munmap(data, bytes); }

// Maps a file so that this process alone sees what it writes.
Result<DeviceBuffer> MapPrivately(int descriptor, size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
                    descriptor, 0);
  if (data == MAP_FAILED) return SystemRefused("mmap");
  return DeviceBuffer(data, bytes, Unmap);
}

Status WriteAll(int descriptor, const void* data, size_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = write(descriptor, next, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return SystemRefused("write");
    next += written;
    bytes -= static_cast<size_t>(written);
  }
  return Status();
}

// Returns the name of the file that a link of /proc leads to; empty if there is none.
std::string LinkedName(const std::string& path) {
  char name[64];
  const ssize_t length = readlink(path.c_str(), name, sizeof(name));
  return length < 0 ? "" : std::string(name, static_cast<size_t>(length));
}

std::string OwnPath(int descriptor) { return "/proc/self/fd/" + std::to_string(descriptor); }

// Refuses what is no sealed segment of this user with this size and token.
Status CheckSegment(int descriptor, const SharedMemoryPlace& place) {
  const int seals = fcntl(descriptor, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    return InvalidRequest("shared memory: the segment is not sealed");
  }
  struct stat facts = {};
  if (fstat(descriptor, &facts) != 0) return SystemRefused("fstat");
  if (facts.st_uid != geteuid()) {
    return InvalidRequest("shared memory: the segment is another user's");
  }
  const uint64_t expected = uint64_t{place.bytes} + sizeof(SharedToken);
  if (static_cast<uint64_t>(facts.st_size) != expected) {
    return InvalidRequest("shared memory: the segment has " + std::to_string(facts.st_size) +
                          " bytes, expected " + std::to_string(expected));
  }
  SharedToken token = {};
  const ssize_t length =
      pread(descriptor, token.data(), token.size(), static_cast<off_t>(place.bytes));
  if (length != static_cast<ssize_t>(token.size()) || token != place.token) {
    return InvalidRequest("shared memory: the segment has another token");
  }
  return Status();
}

}  // namespace

void SharedMemoryBudget::SetLimit(size_t max_bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  max_bytes_ = max_bytes;
}

bool SharedMemoryBudget::Take(size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (num_segments_ == kMaxSegments || bytes_ + bytes > max_bytes_) return false;
  ++num_segments_;
  bytes_ += bytes;
  return true;
}

void SharedMemoryBudget::Give(size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  --num_segments_;
  bytes_ -= bytes;
}

size_t SharedMemoryBudget::bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return bytes_;
}

Result<SharedSegment> SharedSegment::Copy(std::span<const std::byte> bytes,
                                          std::shared_ptr<SharedMemoryBudget> budget) {
  if (!budget->Take(bytes.size())) return EngineFailed("shared memory: the budget is spent");
  SharedSegment segment;
  segment.bytes_ = bytes.size();
  segment.budget_ = std::move(budget);
  segment.descriptor_ = memfd_create(kName, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (segment.descriptor_ < 0) return SystemRefused("memfd_create");
  if (getrandom(segment.token_.data(), segment.token_.size(), 0) !=
      static_cast<ssize_t>(segment.token_.size())) {
    return SystemRefused("getrandom");
  }
  Status status = WriteAll(segment.descriptor_, bytes.data(), bytes.size());
  if (status.ok()) {
    status = WriteAll(segment.descriptor_, segment.token_.data(), segment.token_.size());
  }
  if (!status.ok()) return status;
  if (fcntl(segment.descriptor_, F_ADD_SEALS, kSeals) != 0) return SystemRefused("F_ADD_SEALS");
  Result<DeviceBuffer> mapping =
      MapPrivately(segment.descriptor_, bytes.size() + sizeof(SharedToken));
  if (!mapping.ok()) return mapping.status();
  segment.mapping_ = std::move(mapping.value());
  return segment;
}

SharedSegment::SharedSegment(SharedSegment&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_(std::exchange(other.bytes_, 0)),
      token_(other.token_),
      mapping_(std::move(other.mapping_)),
      budget_(std::move(other.budget_)) {}

SharedSegment& SharedSegment::operator=(SharedSegment&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(bytes_, other.bytes_);
  std::swap(token_, other.token_);
  std::swap(mapping_, other.mapping_);
  std::swap(budget_, other.budget_);
  return *this;
}

SharedSegment::~SharedSegment() {
  if (descriptor_ >= 0) close(descriptor_);
  if (budget_ != nullptr) budget_->Give(bytes_);
}

Result<DeviceBuffer> MapSharedSegment(const SharedMemoryPlace& place) {
  const std::string path =
      "/proc/" + std::to_string(place.process_id) + "/fd/" + std::to_string(place.descriptor);
  // A descriptor of O_PATH finds out what the file is before anything of it is opened: to open a
  // pipe could wait for ever.
  const Descriptor found(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (found.number() < 0) return SystemRefused(path);
  if (LinkedName(OwnPath(found.number())) != kLink) {
    return InvalidRequest("shared memory: " + path + " is no segment");
  }
  const Descriptor segment(open(OwnPath(found.number()).c_str(), O_RDONLY | O_CLOEXEC));
  if (segment.number() < 0) return SystemRefused(path);
  const Status status = CheckSegment(segment.number(), place);
  if (!status.ok()) return status;
  Result<DeviceBuffer> mapping = MapPrivately(segment.number(), place.bytes + sizeof(SharedToken));
  // All page table entries in one call take a fifth of the time that faults take. A kernel before
  // 5.14 does not know the advice, and takes the faults.
  if (mapping.ok()) madvise(mapping.value().data(), mapping.value().bytes(), kPopulateRead);
  return mapping;
}

}  // namespace autoglm
