// Kernels that are wrong, each in one way, and what the emulator says of them.

#include <functional>
#include <string>
#include <vector>

#include "kernels/cuda/simt.h"
#include "simt/emulated_gpu.h"
#include "simt/report.h"
#include "simt/together.h"
#include "doctest/doctest.h"

namespace autoglm::cuda {
namespace {

using simt::Fault;

struct IntArgs {
  int* x;
  int n;
};

std::unique_ptr<Stream> OpenStream(int ordinal = 0) {
  Result<std::unique_ptr<Stream>> stream = Stream::Open(ordinal);
  REQUIRE(stream.ok());
  return std::move(stream.value());
}

DeviceBuffer Allocate(Stream& stream, size_t bytes) {
  Result<DeviceBuffer> buffer = stream.Allocate(bytes);
  REQUIRE(buffer.ok());
  return std::move(buffer.value());
}

struct Outcome {
  std::vector<simt::Report> reports;
  std::vector<int> x;  // what the kernel left, if it had no fault
};

// Runs one kernel over 64 zeros, of which n is given, with 256 bytes of shared memory.
template <typename Kernel>
Outcome Run(Dim3 grid = {}, int n = 64) {
  const std::unique_ptr<Stream> stream = OpenStream();
  const DeviceBuffer x = Allocate(*stream, 64 * sizeof(int));
  stream->Clear(x.data(), x.bytes());
  Outcome outcome;
  const simt::ReportCollector collector;
  Launch<Kernel>(*stream, grid, 256, {x.as<int>(), n});
  outcome.reports = collector.reports();
  outcome.x.resize(64);
  stream->CopyOut(outcome.x.data(), x.data(), x.bytes());
  return outcome;
}

// Checks that there is one report, of this fault and with these words.
void CheckOne(const Outcome& outcome, Fault fault, const std::string& words) {
  REQUIRE_EQ(outcome.reports.size(), 1);
  CHECK_EQ(outcome.reports[0].fault, fault);
  CAPTURE(outcome.reports[0].text);
  CHECK(outcome.reports[0].text.find(words) != std::string::npos);
}

// Checks that there is one report of what threads do too early: which of them comes first, and so
// whether a value is not there yet, in flight or not for its reader, is chance.
void CheckTooEarly(const Outcome& outcome) {
  REQUIRE_EQ(outcome.reports.size(), 1);
  CAPTURE(outcome.reports[0].text);
  const Fault fault = outcome.reports[0].fault;
  CHECK((fault == Fault::kRace || fault == Fault::kInFlight || fault == Fault::kNeverWritten));
}

struct WriteBehind {
  using Args = IntArgs;
  static constexpr int kThreads = 32;
  SIMT_DEVICE void operator()(const Args& args) const { args.x[ThreadIndex() + 33] = 1; }
};

TEST_CASE("A write behind an allocation is out of bounds") {
  CheckOne(Run<WriteBehind>(), Fault::kOutOfBounds,
           "4 bytes at byte 256 of a device allocation of 256 bytes, by thread 31 of block (0, 0, "
           "0) of {anonymous}::WriteBehind");
}

struct ReadBehindShared {
  using Args = IntArgs;
  static constexpr int kThreads = 32;
  SIMT_DEVICE void operator()(const Args& args) const {
    int* const shared = reinterpret_cast<int*>(SharedMemory());
    shared[ThreadIndex()] = 1;
    SyncThreads();
    args.x[ThreadIndex()] = shared[ThreadIndex() + args.n];
  }
};

TEST_CASE("A read behind shared memory is out of bounds") {
  CheckOne(Run<ReadBehindShared>({}, 64), Fault::kOutOfBounds, "of 256 bytes of shared memory");
}

TEST_CASE("Shared memory holds nothing until it is written") {
  CheckOne(Run<ReadBehindShared>({}, 32), Fault::kNeverWritten, "of shared memory");
  CHECK(Run<ReadBehindShared>({}, 0).reports.empty());
}

struct WriteHost {
  using Args = IntArgs;
  static constexpr int kThreads = 32;
  SIMT_DEVICE void operator()(const Args& args) const { args.x[0] = 1; }
};

TEST_CASE("Memory of the host is none of a kernel's") {
  const std::unique_ptr<Stream> stream = OpenStream();
  std::vector<int> host(4);
  const simt::ReportCollector collector;

  Launch<WriteHost>(*stream, {}, 0, {host.data(), 0});

  REQUIRE_EQ(collector.reports().size(), 1);
  CHECK_EQ(collector.reports()[0].fault, Fault::kOutOfBounds);
  CHECK_EQ(host[0], 0);
}

struct CopyInts {
  using Args = IntArgs;
  static constexpr int kThreads = 32;
  SIMT_DEVICE void operator()(const Args& args) const {
    args.x[args.n + ThreadIndex()] = args.x[ThreadIndex()];
  }
};

TEST_CASE("Memory that was allocated holds nothing, also where another owner had values") {
  const std::unique_ptr<Stream> stream = OpenStream();
  for (int turn = 0; turn < 2; ++turn) {
    const DeviceBuffer x = Allocate(*stream, 256);
    {
      const simt::ReportCollector collector;
      Launch<CopyInts>(*stream, {}, 0, {x.as<int>(), 32});
      REQUIRE_EQ(collector.reports().size(), 1);
      CHECK_EQ(collector.reports()[0].fault, Fault::kNeverWritten);
    }
    stream->Clear(x.data(), 128);
    Launch<CopyInts>(*stream, {}, 0, {x.as<int>(), 32});
  }
}

TEST_CASE("The host reads no memory that nobody wrote") {
  const std::unique_ptr<Stream> stream = OpenStream();
  const DeviceBuffer x = Allocate(*stream, 8);
  stream->Clear(x.data(), 4);
  int values[2];
  const simt::ReportCollector collector;

  stream->CopyOut(values, x.data(), 8);

  REQUIRE_EQ(collector.reports().size(), 1);
  CHECK_EQ(collector.reports()[0].fault, Fault::kNeverWritten);
  CHECK(collector.reports()[0].text.find("byte 4 of") != std::string::npos);
}

// Each thread of 64 writes a place and reads its neighbour's.
template <bool kSyncs>
struct ReadNeighbour {
  using Args = IntArgs;
  static constexpr int kThreads = 64;
  SIMT_DEVICE void operator()(const Args& args) const {
    int* const shared = reinterpret_cast<int*>(SharedMemory());
    shared[ThreadIndex()] = ThreadIndex();
    if (kSyncs) SyncThreads();
    args.x[ThreadIndex()] = shared[(ThreadIndex() + 1) % 64];
  }
};

TEST_CASE("A read of what another thread wrote needs a barrier") {
  CheckTooEarly(Run<ReadNeighbour<false>>());

  const Outcome ordered = Run<ReadNeighbour<true>>();
  CHECK(ordered.reports.empty());
  CHECK_EQ(ordered.x[63], 0);
  CHECK_EQ(ordered.x[5], 6);
}

// Each thread reads its neighbour's place and then writes its own.
template <bool kSyncs>
struct WriteBehindReader {
  using Args = IntArgs;
  static constexpr int kThreads = 64;
  SIMT_DEVICE void operator()(const Args& args) const {
    const int value = args.x[(ThreadIndex() + 1) % 64];
    if (kSyncs) SyncThreads();
    args.x[ThreadIndex()] = value + 1;
  }
};

TEST_CASE("A write of what another thread reads needs a barrier") {
  CheckOne(Run<WriteBehindReader<false>>(), Fault::kRace, "device allocation");
  CHECK(Run<WriteBehindReader<true>>().reports.empty());
}

struct AllWriteOne {
  using Args = IntArgs;
  static constexpr int kThreads = 32;
  SIMT_DEVICE void operator()(const Args& args) const { args.x[0] = 7; }
};

TEST_CASE("Two threads that write one place race, though they write the same") {
  CheckOne(Run<AllWriteOne>(), Fault::kRace, "wrote");
}

struct BlocksWriteOne {
  using Args = IntArgs;
  static constexpr int kThreads = 32;
  SIMT_DEVICE void operator()(const Args& args) const {
    if (ThreadIndex() == 0) args.x[BlockIndex().x / 2] = BlockIndex().x;
  }
};

TEST_CASE("Nothing orders the blocks of a launch, but launches are ordered") {
  CheckOne(Run<BlocksWriteOne>({.x = 2}), Fault::kRace, "byte 0 of");
  CHECK(Run<BlocksWriteOne>({.x = 1}).reports.empty());

  const std::unique_ptr<Stream> stream = OpenStream();
  const DeviceBuffer x = Allocate(*stream, 4);
  Launch<BlocksWriteOne>(*stream, {}, 0, {x.as<int>(), 0});
  Launch<BlocksWriteOne>(*stream, {}, 0, {x.as<int>(), 0});
}

template <bool kFences>
struct CountBlocks {
  using Args = IntArgs;
  static constexpr int kThreads = 32;
  SIMT_DEVICE void operator()(const Args& args) const {
    if (ThreadIndex() != 0) return;
    args.x[1 + BlockIndex().x] = 1;
    if (kFences) ThreadFence();
    if (AtomicAdd(args.x, 1) == BlockCount().x - 1) {
      for (int i = 0; i < BlockCount().x; ++i) args.x[40] = args.x[40] + args.x[1 + i];
    }
  }
};

TEST_CASE("A counter orders blocks only behind a fence") {
  CheckOne(Run<CountBlocks<false>>({.x = 4}), Fault::kRace, "wrote");
  CHECK_EQ(Run<CountBlocks<true>>({.x = 4}).x[40], 4);
}

// Neighbours of a warp exchange values through memory.
template <bool kSyncs>
struct WarpExchange {
  using Args = IntArgs;
  static constexpr int kThreads = 64;
  SIMT_DEVICE void operator()(const Args& args) const {
    int* const shared = reinterpret_cast<int*>(SharedMemory()) + 32 * WarpIndex();
    shared[LaneIndex()] = LaneIndex();
    if (kSyncs) SyncWarp();
    // Values of other lanes order no memory.
    const int lane = ShuffleXor(LaneIndex(), 1);
    args.x[ThreadIndex()] = shared[lane];
  }
};

TEST_CASE("A shuffle orders no memory, a barrier of the warp does") {
  CheckOne(Run<WarpExchange<false>>(), Fault::kRace, "of shared memory");
  CHECK(Run<WarpExchange<true>>().reports.empty());
}

struct WarpSyncAcrossWarps {
  using Args = IntArgs;
  static constexpr int kThreads = 64;
  SIMT_DEVICE void operator()(const Args& args) const {
    args.x[ThreadIndex()] = 1;
    SyncWarp();
    args.x[(ThreadIndex() + 32) % 64] = 2;
  }
};

TEST_CASE("A barrier of a warp orders no other warp") {
  CheckOne(Run<WarpSyncAcrossWarps>(), Fault::kRace, "wrote");
}

// Two warps of four meet at a named barrier, the others at another.
template <bool kIsOwnPair>
struct NamedBarriers {
  using Args = IntArgs;
  static constexpr int kThreads = 128;
  SIMT_DEVICE void operator()(const Args& args) const {
    int* const shared = reinterpret_cast<int*>(SharedMemory());
    const int pair = ThreadIndex() / 64;
    const int place = ThreadIndex() % 64 / 2;
    if (ThreadIndex() % 2 == 0) shared[32 * pair + place] = ThreadIndex();
    SyncNamed(1 + pair, 64);
    const int from = kIsOwnPair ? pair : 1 - pair;
    if (ThreadIndex() % 2 == 1) args.x[32 * pair + place] = shared[32 * from + 31 - place];
  }
};

TEST_CASE("A named barrier orders those that meet at it") {
  CheckTooEarly(Run<NamedBarriers<false>>());
  const Outcome paired = Run<NamedBarriers<true>>();
  CHECK(paired.reports.empty());
  CHECK_EQ(paired.x[63], 64);
}

struct DivergentThreads {
  using Args = IntArgs;
  static constexpr int kThreads = 64;
  SIMT_DEVICE void operator()(const Args& args) const {
    if (ThreadIndex() == 3) {
      SyncThreads();
      args.x[0] = 1;
    } else {
      SyncThreads();
    }
  }
};

TEST_CASE("Lanes of a warp wait at one place") {
  CheckOne(Run<DivergentThreads>(), Fault::kDivergentBarrier, "of one warp wait at faults_test.cu");
}

struct MissingLane {
  using Args = IntArgs;
  static constexpr int kThreads = 32;
  SIMT_DEVICE void operator()(const Args& args) const {
    if (ThreadIndex() == 9) return;
    args.x[ThreadIndex()] = ShuffleDown(1, 1);
  }
};

TEST_CASE("A function of a warp needs all of its lanes") {
  CheckOne(Run<MissingLane>(), Fault::kDivergentBarrier, "31 threads wait at");
}

struct HalfAtBarrier {
  using Args = IntArgs;
  static constexpr int kThreads = 64;
  SIMT_DEVICE void operator()(const Args& args) const {
    if (WarpIndex() == 0) {
      SyncThreads();
    } else {
      SyncNamed(1, 64);
    }
    args.x[ThreadIndex()] = 1;
  }
};

TEST_CASE("Barriers that never have all their threads are divergent") {
  CheckOne(Run<HalfAtBarrier>(), Fault::kDivergentBarrier, "0 of 64 have ended");
}

// Copies rows of 16 bytes to shared memory, and reads them before or behind what is needed.
enum class Steps { kNone, kWait, kWaitAndSync, kOneGroupLeft };

template <Steps kSteps>
struct CopyRows {
  using Args = IntArgs;
  static constexpr int kThreads = 32;
  SIMT_DEVICE void operator()(const Args& args) const {
    int* const shared = reinterpret_cast<int*>(SharedMemory());
    const int lane = LaneIndex();
    if (lane < 8) CopyAsync16(shared + 4 * lane, args.x + 4 * lane, lane != 2);
    CopyAsyncCommit();
    if (lane < 8) CopyAsync16(shared + 32 + 4 * lane, args.x + 32 + 4 * lane, true);
    CopyAsyncCommit();
    if (kSteps == Steps::kOneGroupLeft) {
      CopyAsyncWait<1>();
    } else if (kSteps != Steps::kNone) {
      CopyAsyncWait<0>();
    }
    if (kSteps == Steps::kWaitAndSync || kSteps == Steps::kOneGroupLeft) SyncThreads();
    const int value = shared[lane] + (args.n > 0 ? shared[32 + lane] : 0);
    SyncThreads();
    args.x[lane] = value + 1;
  }
};

TEST_CASE("A copy is there after its wait, for other threads after a barrier too") {
  CheckTooEarly(Run<CopyRows<Steps::kNone>>());
  CheckTooEarly(Run<CopyRows<Steps::kWait>>());
  CheckOne(Run<CopyRows<Steps::kOneGroupLeft>>({}, 1), Fault::kInFlight, "of shared memory");
  CHECK(Run<CopyRows<Steps::kOneGroupLeft>>({}, 0).reports.empty());
  CHECK_EQ(Run<CopyRows<Steps::kWaitAndSync>>({}, 1).x[8], 1);
}

struct MisalignedVector {
  using Args = IntArgs;
  static constexpr int kThreads = 32;
  SIMT_DEVICE void operator()(const Args& args) const {
    if (ThreadIndex() != 0) return;
    *reinterpret_cast<Vec<int, 4>*>(args.x + args.n) = {1, 2, 3, 4};
  }
};

TEST_CASE("A vector lies at a multiple of its size") {
  CheckOne(Run<MisalignedVector>({}, 2), Fault::kMisaligned, "needs a multiple of 16");
  CHECK_EQ(Run<MisalignedVector>({}, 4).x[7], 4);
}

struct MisalignedCopy {
  using Args = IntArgs;
  static constexpr int kThreads = 32;
  SIMT_DEVICE void operator()(const Args& args) const {
    if (ThreadIndex() == 0) CopyAsync16(SharedMemory(), args.x + args.n, true);
  }
};

TEST_CASE("A copy of 16 bytes begins at a multiple of 16") {
  CheckOne(Run<MisalignedCopy>({}, 1), Fault::kMisaligned, "the source of an asynchronous copy");
}

// Launches of two GPUs, which share one array.

struct PeerArgs {
  int* x;  // [64]
  uint64_t* words;  // [2]: what each GPU says
  int rank;
};

// Runs a kernel on two GPUs at once, the second one again if it has a next kernel.
template <typename First, typename Second, typename Next = void>
Outcome RunOnTwo() {
  const std::unique_ptr<Stream> streams[2] = {OpenStream(), OpenStream()};
  const DeviceBuffer x = Allocate(*streams[0], 64 * sizeof(int));
  const DeviceBuffer words = Allocate(*streams[0], 2 * sizeof(uint64_t));
  streams[0]->Clear(words.data(), words.bytes());
  streams[0]->Clear(x.data(), x.bytes());
  Outcome outcome;
  const simt::ReportCollector collector;
  simt::LaunchQueue queue;
  Launch<First>(*streams[0], {}, 0, {x.as<int>(), words.as<uint64_t>(), 0});
  Launch<Second>(*streams[1], {}, 0, {x.as<int>(), words.as<uint64_t>(), 1});
  if constexpr (!std::is_void_v<Next>) {
    Launch<Next>(*streams[1], {}, 0, {x.as<int>(), words.as<uint64_t>(), 1});
  }
  queue.Run();
  outcome.reports = collector.reports();
  return outcome;
}

SIMT_DEVICE void Say(uint64_t* word) {
  if (ThreadIndex() == 0) StoreReleaseSystem(word, 1);
}
SIMT_DEVICE void WaitFor(const uint64_t* word) {
  while (ThreadIndex() == 0 && LoadAcquireSystem(word) == 0) Pause();
}

struct PeerKernel {
  using Args = PeerArgs;
  static constexpr int kThreads = 64;
  static constexpr bool kMeetsPeers = true;
};

struct WriteAndSay : PeerKernel {
  SIMT_DEVICE void operator()(const Args& args) const {
    args.x[ThreadIndex()] = ThreadIndex();
    SyncThreads();
    Say(args.words);
  }
};

struct WriteAndSaySoon : PeerKernel {
  SIMT_DEVICE void operator()(const Args& args) const {
    args.x[ThreadIndex()] = ThreadIndex();
    Say(args.words);
  }
};

struct WaitAndRead : PeerKernel {
  SIMT_DEVICE void operator()(const Args& args) const {
    WaitFor(args.words);
    SyncThreads();
    if (args.x[ThreadIndex()] < 0) args.words[1] = 1;
  }
};

struct WaitAndReadSoon : PeerKernel {
  SIMT_DEVICE void operator()(const Args& args) const {
    WaitFor(args.words);
    if (args.x[ThreadIndex()] < 0) args.words[1] = 1;
  }
};

struct JustWait : PeerKernel {
  SIMT_DEVICE void operator()(const Args& args) const { WaitFor(args.words); }
};

struct Overwrite : PeerKernel {
  SIMT_DEVICE void operator()(const Args& args) const { args.x[ThreadIndex()] = 5; }
};

TEST_CASE("What a GPU wrote before it said so, another one reads when it has heard") {
  for (const uint64_t seed : {1, 2, 3}) {
    simt::Machine().seed = seed;
    CHECK(RunOnTwo<WriteAndSay, WaitAndRead>().reports.empty());
    CHECK(RunOnTwo<WriteAndSay, JustWait, WaitAndRead>().reports.empty());
  }
  simt::Machine().seed = 1;
}

TEST_CASE("A GPU that says too soon what others wrote is in a race with who hears it") {
  const Outcome outcome = RunOnTwo<WriteAndSaySoon, WaitAndRead>();
  REQUIRE_EQ(outcome.reports.size(), 1);
  CHECK_EQ(outcome.reports[0].fault, Fault::kRace);
}

TEST_CASE("Threads that do not wait for the one that hears are in a race with the other GPU") {
  REQUIRE_EQ((RunOnTwo<WriteAndSay, WaitAndReadSoon>().reports.size()), 1);
}

TEST_CASE("A launch lies before the next one of its GPU, and not before those of another") {
  CheckOne(RunOnTwo<WriteAndSay, Overwrite>(), Fault::kRace, "wrote");
  CHECK(RunOnTwo<WriteAndSay, WaitAndRead, Overwrite>().reports.empty());
}

TEST_CASE("A GPU may use memory of another one when it was given access") {
  simt::Machine().num_gpus = 2;
  const std::unique_ptr<Stream> owner = OpenStream(0);
  const std::unique_ptr<Stream> other = OpenStream(1);
  const DeviceBuffer x = Allocate(*owner, 64 * sizeof(int));
  {
    const simt::ReportCollector collector;
    Launch<Overwrite>(*other, {}, 0, {x.as<int>(), nullptr, 1});
    REQUIRE_EQ(collector.reports().size(), 1);
    CHECK_EQ(collector.reports()[0].fault, Fault::kOutOfBounds);
    CHECK_NE(collector.reports()[0].text.find("without access"), std::string::npos);
  }
  const simt::ReportCollector collector;
  CHECK(other->OpenAccess(0));
  Launch<Overwrite>(*other, {}, 0, {x.as<int>(), nullptr, 1});
  CHECK(collector.reports().empty());
  simt::Machine().num_gpus = 1;
}

TEST_CASE("A launch that meets others has no shared memory on the emulator") {
  const std::unique_ptr<Stream> stream = OpenStream();
  const simt::ReportCollector collector;

  Launch<Overwrite>(*stream, {}, 16, {nullptr, nullptr, 0});

  REQUIRE_EQ(collector.reports().size(), 1);
  CHECK_EQ(collector.reports()[0].fault, Fault::kLaunch);
}

struct Idle {
  using Args = IntArgs;
  static constexpr int kThreads = 32;
  SIMT_DEVICE void operator()(const Args&) const {}
};

TEST_CASE("A launch asks for no more than a GPU has") {
  const std::unique_ptr<Stream> stream = OpenStream();
  {
    const simt::ReportCollector collector;
    Launch<Idle>(*stream, {}, 101377, {nullptr, 0});
    REQUIRE_EQ(collector.reports().size(), 1);
    CHECK_EQ(collector.reports()[0].fault, Fault::kLaunch);
  }
  {
    const simt::ReportCollector collector;
    Launch<Idle>(*stream, {.y = 65536}, 0, {nullptr, 0});
    REQUIRE_EQ(collector.reports().size(), 1);
    CHECK_EQ(collector.reports()[0].fault, Fault::kLaunch);
  }
  const uint64_t before = simt::NumLaunches();
  Launch<Idle>(*stream, {.x = 0}, 0, {nullptr, 0});
  CHECK_EQ(simt::NumLaunches(), before);
}

TEST_CASE("Copies stay in what was allocated") {
  const std::unique_ptr<Stream> stream = OpenStream();
  const DeviceBuffer x = Allocate(*stream, 12);
  const std::vector<char> host(16);
  const simt::ReportCollector collector;

  stream->CopyIn(x.data(), host.data(), 16);

  REQUIRE_EQ(collector.reports().size(), 1);
  CHECK_EQ(collector.reports()[0].fault, Fault::kOutOfBounds);
}

}  // namespace
}  // namespace autoglm::cuda
