#ifndef AUTOGLM_TEST_NATIVE_SIMT_SHADOW_H_
#define AUTOGLM_TEST_NATIVE_SIMT_SHADOW_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace autoglm::simt {

enum class AccessKind { kRead, kWrite, kAtomic };

// Number of an interval: what one thread of one block does between two barriers of its. Numbers
// grow over launches, so that those below the first of a launch are of an earlier one.
using IntervalId = uint32_t;

struct Interval {
  int block;   // number in its launch, in the order in which blocks run
  int thread;
  int epoch;   // number of barriers of the whole block before it
  int clock;   // number of the thread's other barriers since the last of the whole block
};

// The thread that runs, as its accesses are judged.
class Accessor {
 public:
  virtual ~Accessor() = default;
  // Returns whether barriers put that interval of this launch before what the thread does.
  virtual bool IsAfter(const Interval& interval) const = 0;
  // Returns who accesses and from where, for a report.
  virtual std::string Where() const = 0;
};

// What is known of each byte of device memory: who wrote it last, and who has read it since.
class Shadow {
 public:
  static Shadow& Get() {
    static Shadow shadow;
    return shadow;
  }

  // Opens the intervals of a launch, or of a block, whose shared memory holds no values yet.
  void BeginLaunch();
  // Returns the number of launches so far.
  uint64_t num_launches() const { return num_launches_; }
  void BeginBlock();
  IntervalId AddInterval(const Interval& interval);

  // Forgets the values of memory that has a new owner.
  void Forget(size_t offset, size_t bytes);
  // Notes that the host wrote values.
  void WriteByHost(size_t offset, size_t bytes);
  // Returns the first byte of these that nobody wrote, or `bytes` if there is none.
  size_t FindUnwritten(size_t offset, size_t bytes) const;

  // Notes an access in the interval `self`. Returns false if it is at fault, after it has added the
  // report.
  bool Note(size_t offset, size_t bytes, AccessKind kind, IntervalId self,
            const Accessor& accessor);
  // Notes that an asynchronous copy begins to write the bytes, or has written them.
  bool BeginCopy(size_t offset, size_t bytes, IntervalId self, const Accessor& accessor);
  void EndCopy(size_t offset, size_t bytes, IntervalId self);

 private:
  Shadow();
  // The parts of Note: for one byte, and for the reader of some.
  bool CheckWriter(size_t offset, AccessKind kind, IntervalId self, const Accessor& accessor) const;
  bool CheckReader(size_t offset, IntervalId reader, IntervalId self,
                   const Accessor& accessor) const;
  void NoteReaders(size_t offset, size_t bytes, IntervalId self, const Accessor& accessor);
  // Returns whether an access of this byte lies before what the accessor does.
  bool IsBefore(size_t offset, IntervalId id, const Accessor& accessor) const;
  std::string NameOf(IntervalId id) const;

  // [DeviceMemory::kBytes]: kUnwritten, kHost or an interval with flags; for shared memory whatever
  // lies below the block's first interval counts as unwritten.
  IntervalId* writers_;
  // [DeviceMemory::kBytes]: zero or intervals that have read since the last write; the second is
  // one that is not ordered with the first.
  IntervalId* readers_;
  IntervalId* other_readers_;
  std::vector<Interval> intervals_;  // of this launch, from launch_base_ on
  IntervalId launch_base_;
  IntervalId block_base_;
  uint64_t num_launches_ = 0;
};

}  // namespace autoglm::simt

#endif  // AUTOGLM_TEST_NATIVE_SIMT_SHADOW_H_
