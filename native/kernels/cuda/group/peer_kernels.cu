// Kernels of the ranks of a group, which read each other's memory and wait for each other by words
// in it.

#include <algorithm>

#include "base/check.h"
#include "kernels/cuda/group/peer_memory.h"
#include "kernels/cuda/simt.h"

namespace autoglm::cuda {
namespace {

constexpr int kThreads = 256;
// So that a GPU of eight multiprocessors runs all blocks at once.
constexpr int kMinBlocks = 4;
constexpr int kVecValues = 4;
// Looks at another rank's word between two looks at the host's, which is farther away.
constexpr int kLooksPerCheck = 64;

using FloatVec = Vec<float, kVecValues>;

// Returns whether the word reaches the epoch before the group is broken.
SIMT_DEVICE bool WaitForEpoch(const PeerMeeting& meeting, const uint64_t* word, uint64_t epoch) {
  const uint64_t begin = Nanoseconds();
  for (int looks = 1;; ++looks) {
    if (LoadAcquireSystem(word) >= epoch) return true;
    if (looks % kLooksPerCheck == 0) {
      if (LoadAcquireSystem(meeting.break_word) != 0) return false;
      if (Nanoseconds() - begin > kPeerPatienceNs) {
        StoreReleaseSystem(meeting.break_word, 1);
        return false;
      }
    }
    Pause();
  }
}

// Waits until this block of every rank has come here: what they wrote before, all threads of the block
// see. Returns false if the group is broken.
SIMT_DEVICE bool MeetPeers(const PeerMeeting& meeting, uint64_t epoch) {
  SyncThreads();
  const int block = BlockIndex().x;
  const int peer = ThreadIndex();
  bool has_met = true;
  if (peer < meeting.num_ranks) {
    StoreReleaseSystem(&meeting.memory[peer]->reached[meeting.rank][block], epoch);
    has_met = WaitForEpoch(meeting, &meeting.memory[meeting.rank]->reached[peer][block], epoch);
  }
  return SyncThreadsAnd(has_met);
}

SIMT_DEVICE const float* ValuesOf(const PeerMeeting& meeting, int rank) {
  return meeting.memory[rank]->values[meeting.place];
}

// Vectors of values, of which the last may be shorter in x.

SIMT_DEVICE FloatVec LoadVec(const float* x, int64_t vec, int64_t count) {
  const int64_t first = vec * kVecValues;
  if (first + kVecValues <= count) return *reinterpret_cast<const FloatVec*>(x + first);
  FloatVec values = {};
  for (int i = 0; i < kVecValues; ++i) {
    if (first + i < count) values[i] = x[first + i];
  }
  return values;
}

SIMT_DEVICE void StoreVec(float* x, int64_t vec, int64_t count, const FloatVec& values) {
  const int64_t first = vec * kVecValues;
  if (first + kVecValues <= count) {
    *reinterpret_cast<FloatVec*>(x + first) = values;
    return;
  }
  for (int i = 0; i < kVecValues; ++i) {
    if (first + i < count) x[first + i] = values[i];
  }
}

SIMT_DEVICE FloatVec SumOfRanks(const PeerMeeting& meeting, int64_t vec) {
  FloatVec sum = reinterpret_cast<const FloatVec*>(ValuesOf(meeting, 0))[vec];
  for (int rank = 1; rank < meeting.num_ranks; ++rank) {
    const FloatVec values = reinterpret_cast<const FloatVec*>(ValuesOf(meeting, rank))[vec];
    for (int i = 0; i < kVecValues; ++i) sum[i] += values[i];
  }
  return sum;
}

SIMT_DEVICE int64_t FirstOfThread() { return int64_t{BlockIndex().x} * kThreads + ThreadIndex(); }
SIMT_DEVICE int64_t ThreadCount() { return int64_t{BlockCount().x} * kThreads; }

struct OneShotSum {
  struct Args {
    PeerMeeting meeting;
    float* x;
    int64_t count;
  };
  static constexpr int kThreads = cuda::kThreads;
  static constexpr int kMinBlocks = cuda::kMinBlocks;
  static constexpr bool kMeetsPeers = true;

  SIMT_DEVICE void operator()(const Args& args) const {
    const int64_t num_vecs = (args.count + kVecValues - 1) / kVecValues;
    FloatVec* const own = reinterpret_cast<FloatVec*>(
        args.meeting.memory[args.meeting.rank]->values[args.meeting.place]);
    for (int64_t vec = FirstOfThread(); vec < num_vecs; vec += ThreadCount()) {
      own[vec] = LoadVec(args.x, vec, args.count);
    }
    if (!MeetPeers(args.meeting, args.meeting.epoch)) return;
    for (int64_t vec = FirstOfThread(); vec < num_vecs; vec += ThreadCount()) {
      StoreVec(args.x, vec, args.count, SumOfRanks(args.meeting, vec));
    }
  }
};

// Each rank sums the vectors of its share, in the place where it offered them, which no other rank
// reads before the sums are there.
struct TwoShotSum {
  struct Args {
    PeerMeeting meeting;
    float* x;
    int64_t count;
  };
  static constexpr int kThreads = cuda::kThreads;
  static constexpr int kMinBlocks = cuda::kMinBlocks;
  static constexpr bool kMeetsPeers = true;

  struct Share {
    int64_t begin;
    int64_t end;
  };

  SIMT_DEVICE static Share ShareOf(const Args& args, int rank) {
    const int64_t num_vecs = (args.count + kVecValues - 1) / kVecValues;
    const int64_t share = (num_vecs + args.meeting.num_ranks - 1) / args.meeting.num_ranks;
    const int64_t begin = rank * share < num_vecs ? rank * share : num_vecs;
    return {begin, begin + share < num_vecs ? begin + share : num_vecs};
  }

  SIMT_DEVICE void operator()(const Args& args) const {
    const PeerMeeting& meeting = args.meeting;
    FloatVec* const own =
        reinterpret_cast<FloatVec*>(meeting.memory[meeting.rank]->values[meeting.place]);
    for (int rank = 0; rank < meeting.num_ranks; ++rank) {
      const Share share = ShareOf(args, rank);
      for (int64_t vec = share.begin + FirstOfThread(); vec < share.end; vec += ThreadCount()) {
        own[vec] = LoadVec(args.x, vec, args.count);
      }
    }
    if (!MeetPeers(meeting, meeting.epoch)) return;
    const Share share = ShareOf(args, meeting.rank);
    for (int64_t vec = share.begin + FirstOfThread(); vec < share.end; vec += ThreadCount()) {
      own[vec] = SumOfRanks(meeting, vec);
    }
    if (!MeetPeers(meeting, meeting.epoch + 1)) return;
    for (int rank = 0; rank < meeting.num_ranks; ++rank) {
      const Share others = ShareOf(args, rank);
      const FloatVec* const sums = reinterpret_cast<const FloatVec*>(ValuesOf(meeting, rank));
      for (int64_t vec = others.begin + FirstOfThread(); vec < others.end; vec += ThreadCount()) {
        StoreVec(args.x, vec, args.count, sums[vec]);
      }
    }
  }
};

// Ranks that want nothing wait too: their next launch may then overwrite what this one offers.
struct ColumnGather {
  struct Args {
    PeerMeeting meeting;
    MatrixView part;
    MatrixView whole;
  };
  static constexpr int kThreads = cuda::kThreads;
  static constexpr int kMinBlocks = cuda::kMinBlocks;
  static constexpr bool kMeetsPeers = true;

  SIMT_DEVICE void operator()(const Args& args) const {
    const PeerMeeting& meeting = args.meeting;
    PeerMemory& own = *meeting.memory[meeting.rank];
    const int block = BlockIndex().x;
    const int64_t num_own = args.part.rows * args.part.columns;
    for (int64_t i = FirstOfThread(); i < num_own; i += ThreadCount()) {
      own.values[meeting.place][i] = args.part.data[i];
    }
    if (ThreadIndex() == 0) own.columns[meeting.place][block] = args.part.columns;
    if (!MeetPeers(meeting, meeting.epoch)) return;
    if (args.whole.data == nullptr) return;
    int64_t first_column = 0;
    for (int rank = 0; rank < meeting.num_ranks; ++rank) {
      const float* const values = ValuesOf(meeting, rank);
      const int columns = static_cast<int>(meeting.memory[rank]->columns[meeting.place][block]);
      const int64_t num_values = args.whole.rows * columns;
      for (int64_t i = FirstOfThread(); i < num_values; i += ThreadCount()) {
        const int value = static_cast<int>(i);  // of at most kPeerValues
        const int64_t row = value / columns;
        args.whole.data[row * args.whole.stride + first_column + value % columns] = values[i];
      }
      first_column += columns;
    }
  }
};

// Ranks must agree on it, and their GPUs may differ.
Dim3 BlocksOf(int64_t num_values) {
  CHECK(num_values <= kPeerValues);
  return {.x = static_cast<int>(std::clamp<int64_t>(DivideUp(num_values, kVecValues * kThreads), 1,
                                                    kMaxPeerBlocks))};
}

void CheckVectors(const float* x) { CHECK(reinterpret_cast<uintptr_t>(x) % sizeof(FloatVec) == 0); }

}  // namespace

void SumInOneShot(Stream& stream, const PeerMeeting& meeting, float* x, int64_t count) {
  CheckVectors(x);
  Launch<OneShotSum>(stream, BlocksOf(count), 0, {meeting, x, count});
}

void SumInTwoShots(Stream& stream, const PeerMeeting& meeting, float* x, int64_t count) {
  CheckVectors(x);
  Launch<TwoShotSum>(stream, BlocksOf(count), 0, {meeting, x, count});
}

void GatherColumns(Stream& stream, const PeerMeeting& meeting, const MatrixView& part,
                   const MatrixView& whole) {
  CHECK(part.stride == part.columns && part.rows == whole.rows);
  Launch<ColumnGather>(stream, BlocksOf(whole.rows * whole.columns), 0, {meeting, part, whole});
}

}  // namespace autoglm::cuda
