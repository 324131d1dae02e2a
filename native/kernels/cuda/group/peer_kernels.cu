// Kernels of the ranks of a group, which read each other's memory and wait for each other by words
// in it.

#include "base/check.h"
#include "kernels/cuda/group/peer_memory.h"
#include "kernels/cuda/simt.h"

namespace autoglm::cuda {
namespace {

// What all kernels of this file are.
struct PeerKernel {
  static constexpr int kThreads = 256;
  static constexpr bool kMeetsPeers = true;
};

constexpr int kThreads = PeerKernel::kThreads;
constexpr int64_t kAllThreads = int64_t{kPeerBlocks} * kThreads;
constexpr int kVecValues = 4;
// Vectors of each rank that a thread asks for before it uses them.
constexpr int kVecsPerTurn = 4;
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

// A block's part in a launch.
struct Visit {
  uint64_t epoch;
  int place;  // of values and columns: 0 or 1
};

// Begins a launch. All threads of a block call it.
SIMT_DEVICE Visit BeginVisit(const PeerMeeting& meeting) {
  uint64_t* const last = &meeting.memory[meeting.rank]->epoch[BlockIndex().x];
  const uint64_t epoch = *last + 2;
  SyncThreads();
  if (ThreadIndex() == 0) *last = epoch;
  return {epoch, static_cast<int>(epoch / 2 % 2)};
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

SIMT_DEVICE FloatVec* VecsOf(const PeerMeeting& meeting, int rank, int place) {
  return reinterpret_cast<FloatVec*>(meeting.memory[rank]->values[place]);
}

// A thread's vectors are FirstOfThread() and every kAllThreads-th behind it; equal blocks of all ranks
// have equal vectors.
SIMT_DEVICE int64_t FirstOfThread() { return int64_t{BlockIndex().x} * kThreads + ThreadIndex(); }
// Returns whether the block has any of so many.
SIMT_DEVICE bool HasAny(int64_t count) { return int64_t{BlockIndex().x} * kThreads < count; }

// Loads a rank's vectors first, first + kAllThreads, ... as far as they lie before the end.
SIMT_DEVICE void LoadTurn(const FloatVec* vecs, int64_t first, int64_t end,
                          FloatVec (&turn)[kVecsPerTurn]) {
#pragma unroll
  for (int i = 0; i < kVecsPerTurn; ++i) {
    const int64_t vec = first + i * kAllThreads;
    turn[i] = vec < end ? vecs[vec] : FloatVec{};
  }
}

// Calls store(vec, sum over the ranks) for the thread's vectors of begin .. end - 1.
template <typename Store>
SIMT_DEVICE void SumRanks(const PeerMeeting& meeting, int place, int64_t begin, int64_t end,
                          const Store& store) {
  for (int64_t first = begin + FirstOfThread(); first < end; first += kVecsPerTurn * kAllThreads) {
    FloatVec sums[kVecsPerTurn];
    LoadTurn(VecsOf(meeting, 0, place), first, end, sums);
    for (int rank = 1; rank < meeting.num_ranks; ++rank) {
      FloatVec values[kVecsPerTurn];
      LoadTurn(VecsOf(meeting, rank, place), first, end, values);
#pragma unroll
      for (int i = 0; i < kVecsPerTurn; ++i) {
#pragma unroll
        for (int j = 0; j < kVecValues; ++j) sums[i][j] += values[i][j];
      }
    }
#pragma unroll
    for (int i = 0; i < kVecsPerTurn; ++i) {
      const int64_t vec = first + i * kAllThreads;
      if (vec < end) store(vec, sums[i]);
    }
  }
}

struct SumArgs {
  PeerMeeting meeting;
  float* x;  // [count]
  int64_t count;

  SIMT_DEVICE int64_t NumVecs() const { return (count + kVecValues - 1) / kVecValues; }
};

// Offers the thread's vectors of x in begin .. end - 1.
SIMT_DEVICE void Offer(const SumArgs& args, FloatVec* own, int64_t begin, int64_t end) {
  for (int64_t vec = begin + FirstOfThread(); vec < end; vec += kAllThreads) {
    own[vec] = LoadVec(args.x, vec, args.count);
  }
}

struct OneShotSum : PeerKernel {
  using Args = SumArgs;

  SIMT_DEVICE void operator()(const Args& args) const {
    const PeerMeeting& meeting = args.meeting;
    const int64_t num_vecs = args.NumVecs();
    const Visit visit = BeginVisit(meeting);
    if (!HasAny(num_vecs)) return;
    Offer(args, VecsOf(meeting, meeting.rank, visit.place), 0, num_vecs);
    if (!MeetPeers(meeting, visit.epoch)) return;
    SumRanks(meeting, visit.place, 0, num_vecs, [&args](int64_t vec, const FloatVec& sum) {
      StoreVec(args.x, vec, args.count, sum);
    });
  }
};

// Each rank sums the vectors of its share, in the place where it offered them, which no other rank
// reads before the sums are there.
struct TwoShotSum : PeerKernel {
  using Args = SumArgs;

  struct Share {
    int64_t begin;
    int64_t end;
  };

  SIMT_DEVICE static Share ShareOf(const Args& args, int rank) {
    const int64_t num_vecs = args.NumVecs();
    const int64_t share = (num_vecs + args.meeting.num_ranks - 1) / args.meeting.num_ranks;
    const int64_t begin = rank * share < num_vecs ? rank * share : num_vecs;
    return {begin, begin + share < num_vecs ? begin + share : num_vecs};
  }

  SIMT_DEVICE void operator()(const Args& args) const {
    const PeerMeeting& meeting = args.meeting;
    const Visit visit = BeginVisit(meeting);
    const Share longest = ShareOf(args, 0);
    if (!HasAny(longest.end - longest.begin)) return;
    FloatVec* const own = VecsOf(meeting, meeting.rank, visit.place);
    for (int rank = 0; rank < meeting.num_ranks; ++rank) {
      const Share share = ShareOf(args, rank);
      Offer(args, own, share.begin, share.end);
    }
    if (!MeetPeers(meeting, visit.epoch)) return;
    const Share share = ShareOf(args, meeting.rank);
    SumRanks(meeting, visit.place, share.begin, share.end,
             [&](int64_t vec, const FloatVec& sum) { own[vec] = sum; });
    if (!MeetPeers(meeting, visit.epoch + 1)) return;
    for (int rank = 0; rank < meeting.num_ranks; ++rank) {
      const auto [begin, end] = ShareOf(args, rank);
      for (int64_t first = begin + FirstOfThread(); first < end;
           first += kVecsPerTurn * kAllThreads) {
        FloatVec sums[kVecsPerTurn];
        LoadTurn(VecsOf(meeting, rank, visit.place), first, end, sums);
#pragma unroll
        for (int i = 0; i < kVecsPerTurn; ++i) {
          const int64_t vec = first + i * kAllThreads;
          if (vec < end) StoreVec(args.x, vec, args.count, sums[i]);
        }
      }
    }
  }
};

// Ranks that want nothing wait too: their next launch may then overwrite what this one offers.
struct ColumnGather : PeerKernel {
  struct Args {
    PeerMeeting meeting;
    MatrixView part;
    MatrixView whole;
  };

  SIMT_DEVICE void operator()(const Args& args) const {
    const PeerMeeting& meeting = args.meeting;
    PeerMemory& own = *meeting.memory[meeting.rank];
    const int block = BlockIndex().x;
    const auto [epoch, place] = BeginVisit(meeting);
    if (!HasAny(args.whole.rows * args.whole.columns)) return;
    const int64_t num_own = args.part.rows * args.part.columns;
    for (int64_t i = FirstOfThread(); i < num_own; i += kAllThreads) {
      own.values[place][i] = args.part.data[i];
    }
    if (ThreadIndex() == 0) own.columns[place][block] = args.part.columns;
    if (!MeetPeers(meeting, epoch)) return;
    if (args.whole.data == nullptr) return;
    int64_t first_column = 0;
    for (int rank = 0; rank < meeting.num_ranks; ++rank) {
      const float* const values = meeting.memory[rank]->values[place];
      const int columns = static_cast<int>(meeting.memory[rank]->columns[place][block]);
      const int64_t num_values = args.whole.rows * columns;
      for (int64_t i = FirstOfThread(); i < num_values; i += kAllThreads) {
        const int value = static_cast<int>(i);  // of at most kPeerValues
        const int64_t row = value / columns;
        args.whole.data[row * args.whole.stride + first_column + value % columns] = values[i];
      }
      first_column += columns;
    }
  }
};

// Blocks without values run too, and only keep their epoch.
constexpr Dim3 kGrid = {.x = kPeerBlocks};

void CheckValues(const float* x, int64_t count) {
  CHECK(reinterpret_cast<uintptr_t>(x) % sizeof(FloatVec) == 0 && count <= kPeerValues);
}

}  // namespace

void SumInOneShot(Stream& stream, const PeerMeeting& meeting, float* x, int64_t count) {
  CheckValues(x, count);
  Launch<OneShotSum>(stream, kGrid, 0, {meeting, x, count});
}

void SumInTwoShots(Stream& stream, const PeerMeeting& meeting, float* x, int64_t count) {
  CheckValues(x, count);
  Launch<TwoShotSum>(stream, kGrid, 0, {meeting, x, count});
}

void GatherColumns(Stream& stream, const PeerMeeting& meeting, const MatrixView& part,
                   const MatrixView& whole) {
  CHECK(part.stride == part.columns && part.rows == whole.rows);
  CHECK(whole.rows * whole.columns <= kPeerValues);
  Launch<ColumnGather>(stream, kGrid, 0, {meeting, part, whole});
}

}  // namespace autoglm::cuda
