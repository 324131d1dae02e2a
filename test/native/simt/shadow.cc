#include "simt/shadow.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/check.h"
#include "simt/device_memory.h"
#include "simt/report.h"

namespace autoglm::simt {
namespace {

constexpr IntervalId kUnwritten = 0;
constexpr IntervalId kHost = 1;
constexpr IntervalId kFirstInterval = 2;
// Flags of a writer.
constexpr IntervalId kAtomicFlag = 1u << 31;
constexpr IntervalId kInFlightFlag = 1u << 30;
constexpr IntervalId kNumberMask = kInFlightFlag - 1;

IntervalId* ReserveIntervals() {
  void* data = mmap(nullptr, DeviceMemory::kBytes * sizeof(IntervalId), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(data != MAP_FAILED);
  return static_cast<IntervalId*>(data);
}

// Sets numbers to zero, whole pages of them by giving the pages back.
void Clear(IntervalId* begin, size_t count) {
  constexpr uintptr_t kPageBytes = 4096;
  char* const first = reinterpret_cast<char*>(begin);
  char* const last = reinterpret_cast<char*>(begin + count);
  char* const pages = first + (kPageBytes - reinterpret_cast<uintptr_t>(first) % kPageBytes) %
                                  kPageBytes;
  char* const pages_end = last - reinterpret_cast<uintptr_t>(last) % kPageBytes;
  if (pages >= pages_end) {
    std::fill(begin, begin + count, 0);
    return;
  }
  std::fill(first, pages, 0);
  std::fill(pages_end, last, 0);
  CHECK(madvise(pages, static_cast<size_t>(pages_end - pages), MADV_DONTNEED) == 0);
}

}  // namespace

Shadow::Shadow()
    : writers_(ReserveIntervals()),
      readers_(ReserveIntervals()),
      other_readers_(ReserveIntervals()),
      launch_base_(kFirstInterval),
      block_base_(kFirstInterval) {}

void Shadow::BeginLaunch() {
  ++num_launches_;
  launch_base_ += static_cast<IntervalId>(intervals_.size());
  intervals_.clear();
  if (launch_base_ > kNumberMask / 2) {
    // The numbers begin anew: whoever wrote or read before is the host to what comes.
    const size_t end = DeviceMemory::Get().end();
    for (size_t i = 0; i < end; ++i) writers_[i] = writers_[i] == kUnwritten ? kUnwritten : kHost;
    std::fill(readers_, readers_ + end, 0);
    std::fill(other_readers_, other_readers_ + end, 0);
    launch_base_ = kFirstInterval;
  }
  BeginBlock();
}

void Shadow::BeginBlock() {
  block_base_ = launch_base_ + static_cast<IntervalId>(intervals_.size());
}

IntervalId Shadow::AddInterval(const Interval& interval) {
  intervals_.push_back(interval);
  const IntervalId id = launch_base_ + static_cast<IntervalId>(intervals_.size()) - 1;
  CHECK(id < kNumberMask);
  return id;
}

void Shadow::Forget(size_t offset, size_t bytes) {
  Clear(writers_ + offset, bytes);
  Clear(readers_ + offset, bytes);
  Clear(other_readers_ + offset, bytes);
}

void Shadow::WriteByHost(size_t offset, size_t bytes) {
  std::fill_n(writers_ + offset, bytes, kHost);
}

size_t Shadow::FindUnwritten(size_t offset, size_t bytes) const {
  return static_cast<size_t>(
      std::find(writers_ + offset, writers_ + offset + bytes, kUnwritten) - (writers_ + offset));
}

bool Shadow::IsBefore(size_t offset, IntervalId id, const Accessor& accessor) const {
  if (id < (DeviceMemory::IsShared(offset) ? block_base_ : launch_base_)) return true;
  return accessor.IsAfter(intervals_[id - launch_base_]);
}

std::string Shadow::NameOf(IntervalId id) const {
  const Interval& interval = intervals_[(id & kNumberMask) - launch_base_];
  return "thread " + std::to_string(interval.thread) + " of the block that ran as number " +
         std::to_string(interval.block);
}

bool Shadow::CheckWriter(size_t offset, AccessKind kind, IntervalId self,
                         const Accessor& accessor) const {
  const IntervalId writer = writers_[offset];
  const IntervalId number = writer & kNumberMask;
  const bool is_unwritten =
      DeviceMemory::IsShared(offset) ? number < block_base_ : writer == kUnwritten;
  if (is_unwritten) {
    if (kind == AccessKind::kWrite) return true;
    AddReport(Fault::kNeverWritten, DeviceMemory::Get().Describe(offset) + accessor.Where());
    return false;
  }
  if ((writer & kInFlightFlag) != 0 && number >= launch_base_) {
    AddReport(Fault::kInFlight, DeviceMemory::Get().Describe(offset) + ", which " + NameOf(writer) +
                                    " copies" + accessor.Where());
    return false;
  }
  if (number == self || (kind == AccessKind::kAtomic && (writer & kAtomicFlag) != 0)) return true;
  if (IsBefore(offset, number, accessor)) return true;
  AddReport(Fault::kRace, DeviceMemory::Get().Describe(offset) + ", which " + NameOf(writer) +
                              " wrote" + accessor.Where());
  return false;
}

bool Shadow::CheckReader(size_t offset, IntervalId reader, IntervalId self,
                         const Accessor& accessor) const {
  if (reader == self || IsBefore(offset, reader, accessor)) return true;
  AddReport(Fault::kRace, DeviceMemory::Get().Describe(offset) + ", which " + NameOf(reader) +
                              " read" + accessor.Where());
  return false;
}

void Shadow::NoteReaders(size_t offset, size_t bytes, IntervalId self, const Accessor& accessor) {
  // Neighbouring bytes have mostly the same readers, whose order is looked up where they change.
  IntervalId last_first = self;
  IntervalId last_second = self;
  bool is_first_before = false;
  bool is_second_before = false;
  for (size_t i = offset; i < offset + bytes; ++i) {
    IntervalId& first = readers_[i];
    IntervalId& second = other_readers_[i];
    if (first == self || second == self) continue;
    if (first != last_first || second != last_second) {
      last_first = first;
      last_second = second;
      is_first_before = IsBefore(i, first, accessor);
      is_second_before = !is_first_before && IsBefore(i, second, accessor);
    }
    // Of three unordered readers one is forgotten: most barriers order all of them alike.
    if (is_first_before) first = self;
    if (is_second_before) second = self;
  }
}

bool Shadow::Note(size_t offset, size_t bytes, AccessKind kind, IntervalId self,
                  const Accessor& accessor) {
  // Neighbouring bytes have mostly the same history, which is judged where it changes.
  IntervalId judged_writer = 0;
  IntervalId judged_reader = 0;
  IntervalId judged_other_reader = 0;
  const auto judge_reader = [&](size_t i, IntervalId reader, IntervalId& judged) {
    if (reader == judged) return true;
    judged = reader;
    return CheckReader(i, reader, self, accessor);
  };
  for (size_t i = offset; i < offset + bytes; ++i) {
    if (i == offset || writers_[i] != judged_writer) {
      judged_writer = writers_[i];
      if (!CheckWriter(i, kind, self, accessor)) return false;
    }
    if (kind == AccessKind::kRead) continue;
    if (!judge_reader(i, readers_[i], judged_reader)) return false;
    if (!judge_reader(i, other_readers_[i], judged_other_reader)) return false;
    readers_[i] = 0;
    other_readers_[i] = 0;
    writers_[i] = kind == AccessKind::kAtomic ? self | kAtomicFlag : self;
  }
  if (kind == AccessKind::kRead) NoteReaders(offset, bytes, self, accessor);
  return true;
}

bool Shadow::BeginCopy(size_t offset, size_t bytes, IntervalId self, const Accessor& accessor) {
  if (!Note(offset, bytes, AccessKind::kWrite, self, accessor)) return false;
  std::fill_n(writers_ + offset, bytes, self | kInFlightFlag);
  return true;
}

void Shadow::EndCopy(size_t offset, size_t bytes, IntervalId self) {
  std::fill_n(writers_ + offset, bytes, self);
}

}  // namespace autoglm::simt
