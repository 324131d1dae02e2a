// Ranks of a group that meet in each other's memory, with their blocks in random order.

#include "kernels/cuda/group/peer_exchange.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/group/rank_threads.h"
#include "simt/emulated_gpu.h"
#include "simt/together.h"

// It is included last, because its CHECK replaces the one of base/check.h.
#include "doctest/doctest.h"

namespace autoglm::cuda {
namespace {

using simt::MachineSettings;

// GPUs of a group, each with one array of values.
class PeerGroup {
 public:
  explicit PeerGroup(int num_ranks) : group(num_ranks), ranks(static_cast<size_t>(num_ranks)) {
    threads_ = std::make_unique<RankThreads>(num_ranks);
    OnRanks([&](int i) {
      Rank& rank = ranks[static_cast<size_t>(i)];
      rank.stream = std::move(Stream::Open(i).value());
      rank.access = PeerExchange::OpenAccess(*rank.stream, {&group, i}).value().missing;
      if (rank.access.empty()) {
        rank.exchange = std::move(PeerExchange::Create(*rank.stream, {&group, i}).value());
        CHECK(rank.exchange->Connect().ok());
      }
    });
  }

  template <typename Task>
  void OnRanks(const Task& task) {
    threads_->Run(task);
  }

  // Gives every rank values, of very different sizes, so that sums depend on their order; returns them.
  std::vector<std::vector<float>> Fill(size_t count, uint32_t seed) {
    for (Rank& rank : ranks) {
      rank.values = std::move(rank.stream->Allocate(count * sizeof(float)).value());
    }
    return Refill(seed);
  }

  // Gives them others, in the same memory.
  std::vector<std::vector<float>> Refill(uint32_t seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> unit(-1.0f, 1.0f);
    std::vector<std::vector<float>> all;
    for (Rank& rank : ranks) {
      std::vector<float>& values = all.emplace_back(rank.values.bytes() / sizeof(float));
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = unit(random) * (i % 3 == 0 ? 1e6f : 1.0f);
      }
      rank.stream->CopyIn(rank.values.data(), values.data(), rank.values.bytes());
    }
    return all;
  }

  std::vector<float> Values(size_t rank) {
    const DeviceBuffer& values = ranks[rank].values;
    std::vector<float> copy(values.bytes() / sizeof(float));
    ranks[rank].stream->CopyOut(copy.data(), values.data(), values.bytes());
    return copy;
  }

  void Sum(size_t rank) {
    const DeviceBuffer& values = ranks[rank].values;
    ranks[rank].exchange->Sum(values.as<float>(),
                              static_cast<int64_t>(values.bytes() / sizeof(float)));
  }

  struct Rank {
    std::unique_ptr<Stream> stream;
    DeviceBuffer values;
    std::string access;
    std::unique_ptr<PeerExchange> exchange;
  };
  DeviceGroup group;
  std::vector<Rank> ranks;

 private:
  std::unique_ptr<RankThreads> threads_;
};

std::vector<float> SumInOrder(const std::vector<std::vector<float>>& values) {
  std::vector<float> sum = values[0];
  for (size_t rank = 1; rank < values.size(); ++rank) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += values[rank][i];
  }
  return sum;
}

simt::EmulatedMachine FourGpus(uint64_t seed = 1) {
  simt::EmulatedMachine machine = simt::Machine();
  machine.num_gpus = 4;
  machine.seed = seed;
  return machine;
}

TEST_CASE("GPUs sum in the order of ranks through each other's memory, in whatever order they run") {
  for (const int num_ranks : {2, 3, 4}) {
    for (const size_t count : {size_t{1}, size_t{7}, size_t{1025}, size_t{4096}}) {
      for (const uint64_t seed : {1, 2}) {
        CAPTURE(num_ranks);
        CAPTURE(count);
        CAPTURE(seed);
        const MachineSettings machine(FourGpus(seed));
        PeerGroup peers(num_ranks);
        std::vector<std::vector<float>> expected = peers.Fill(count, 3);
        simt::LaunchQueue queue;

        // Four launches in a row use each place of the exchange twice.
        for (int time = 0; time < 4; ++time) {
          for (size_t rank = 0; rank < peers.ranks.size(); ++rank) peers.Sum(rank);
          expected.assign(expected.size(), SumInOrder(expected));
        }
        queue.Run();

        for (size_t rank = 0; rank < peers.ranks.size(); ++rank) {
          REQUIRE(peers.Values(rank) == expected[rank]);
        }
      }
    }
  }
}

TEST_CASE("Sums of many values are shared among more than two GPUs") {
  constexpr size_t kCount = (64 << 10) + 3;  // more than one shot sums
  for (const int num_ranks : {2, 3}) {
    CAPTURE(num_ranks);
    const MachineSettings machine(FourGpus());
    PeerGroup peers(num_ranks);
    const std::vector<float> sum = SumInOrder(peers.Fill(kCount, 5));
    simt::LaunchQueue queue;

    for (size_t rank = 0; rank < peers.ranks.size(); ++rank) peers.Sum(rank);
    queue.Run();

    for (size_t rank = 0; rank < peers.ranks.size(); ++rank) REQUIRE(peers.Values(rank) == sum);
  }
}

TEST_CASE("Sums of different lengths follow each other") {
  constexpr size_t kCount = 3000;  // of three blocks
  for (const uint64_t seed : {1, 2, 3, 4}) {
    CAPTURE(seed);
    const MachineSettings machine(FourGpus(seed));
    PeerGroup peers(2);
    std::vector<std::vector<float>> expected = peers.Fill(kCount, 5);
    simt::LaunchQueue queue;

    for (const size_t count : {kCount, size_t{3}, kCount, size_t{1500}, size_t{1}, kCount}) {
      for (PeerGroup::Rank& rank : peers.ranks) {
        rank.exchange->Sum(rank.values.as<float>(), static_cast<int64_t>(count));
      }
      const std::vector<float> sum = SumInOrder(expected);
      for (std::vector<float>& values : expected) std::copy_n(sum.begin(), count, values.begin());
    }
    queue.Run();

    for (size_t rank = 0; rank < 2; ++rank) REQUIRE(peers.Values(rank) == expected[rank]);
  }
}

TEST_CASE("Two shots give the bits of one, again and again") {
  for (const uint64_t seed : {1, 2, 3}) {
    for (const int64_t count : {int64_t{1}, int64_t{6}, int64_t{301}, int64_t{2048}}) {
      CAPTURE(count);
      const MachineSettings machine(FourGpus(seed));
      PeerGroup peers(3);
      std::vector<std::vector<float>> expected = peers.Fill(static_cast<size_t>(count), 9);
      std::vector<DeviceBuffer> memory;
      PeerMeeting meeting = {};
      meeting.num_ranks = 3;
      DeviceBuffer word = std::move(peers.ranks[0].stream->AllocateMapped(8).value());
      meeting.break_word = word.as<uint64_t>();
      for (PeerGroup::Rank& rank : peers.ranks) {
        memory.push_back(std::move(rank.stream->Allocate(sizeof(PeerMemory)).value()));
        rank.stream->Clear(memory.back().data(), offsetof(PeerMemory, columns));
        meeting.memory[memory.size() - 1] = memory.back().as<PeerMemory>();
      }
      simt::LaunchQueue queue;

      for (int time = 1; time <= 3; ++time) {
        for (size_t rank = 0; rank < peers.ranks.size(); ++rank) {
          meeting.rank = static_cast<int>(rank);
          SumInTwoShots(*peers.ranks[rank].stream, meeting, peers.ranks[rank].values.as<float>(),
                        count);
        }
        expected.assign(expected.size(), SumInOrder(expected));
      }
      queue.Run();

      for (size_t rank = 0; rank < peers.ranks.size(); ++rank) {
        REQUIRE(peers.Values(rank) == expected[rank]);
      }
    }
  }
}

TEST_CASE("A GPU gathers columns of different widths from the others' memory") {
  const MachineSettings machine(FourGpus());
  PeerGroup peers(3);
  constexpr int64_t kRows = 5;
  const std::vector<int64_t> columns = {31, 30, 7};
  DeviceBuffer whole = std::move(peers.ranks[0].stream->Allocate(kRows * 70 * 4).value());
  peers.ranks[0].stream->Clear(whole.data(), whole.bytes());
  const std::vector<std::vector<float>> parts = peers.Fill(kRows * 31, 4);
  simt::LaunchQueue queue;

  for (int time = 0; time < 3; ++time) {
    for (size_t rank = 0; rank < 3; ++rank) {
      // Two columns more than are gathered, which stay as they are.
      const MatrixView target = {rank == 0 ? whole.as<float>() : nullptr, kRows, 68, 70};
      peers.ranks[rank].exchange->Gather(
          DenseMatrix(peers.ranks[rank].values.as<float>(), kRows, columns[rank]), target);
    }
  }
  queue.Run();

  std::vector<float> gathered(kRows * 70);
  peers.ranks[0].stream->CopyOut(gathered.data(), whole.data(), whole.bytes());
  for (int64_t row = 0; row < kRows; ++row) {
    std::vector<float> expected;
    for (size_t rank = 0; rank < 3; ++rank) {
      const float* const begin = parts[rank].data() + row * columns[rank];
      expected.insert(expected.end(), begin, begin + columns[rank]);
    }
    expected.insert(expected.end(), 2, 0.0f);
    CHECK(std::vector<float>(gathered.begin() + row * 70, gathered.begin() + (row + 1) * 70) ==
          expected);
  }
}

TEST_CASE("A gather may follow a sum that few blocks make") {
  for (const uint64_t seed : {1, 2, 3}) {
    CAPTURE(seed);
    const MachineSettings machine(FourGpus(seed));
    PeerGroup peers(2);
    std::vector<std::vector<float>> values = peers.Fill(3000, 5);
    DeviceBuffer whole = std::move(peers.ranks[0].stream->Allocate(6000 * sizeof(float)).value());
    simt::LaunchQueue queue;

    for (const int64_t count : {3000, 1000}) {
      for (PeerGroup::Rank& rank : peers.ranks) rank.exchange->Sum(rank.values.as<float>(), count);
      const std::vector<float> sum = SumInOrder(values);
      for (std::vector<float>& one : values) std::copy_n(sum.begin(), count, one.begin());
    }
    for (PeerGroup::Rank& rank : peers.ranks) {
      float* const target = &rank == &peers.ranks[0] ? whole.as<float>() : nullptr;
      rank.exchange->Gather(DenseMatrix(rank.values.as<float>(), 1, 3000),
                            DenseMatrix(target, 1, 6000));
    }
    queue.Run();

    std::vector<float> gathered(6000);
    peers.ranks[0].stream->CopyOut(gathered.data(), whole.data(), whole.bytes());
    values[0].insert(values[0].end(), values[1].begin(), values[1].end());
    CHECK(gathered == values[0]);
  }
}

TEST_CASE("A GPU that waits for a rank that has failed stops waiting, and the group sums again") {
  const MachineSettings machine(FourGpus());
  PeerGroup peers(3);
  for (const size_t failed : {0, 1, 2}) {
    const std::vector<float> sum = SumInOrder(peers.Fill(100, 6));
    peers.OnRanks([&](int i) {
      const size_t rank = static_cast<size_t>(i);
      if (rank == failed) {
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
        peers.group.Break();
        return;
      }
      // Ranks are at different launches when they stop.
      for (size_t time = 0; time <= rank; ++time) peers.Sum(rank);
    });
    CHECK(peers.group.is_broken());
    for (PeerGroup::Rank& rank : peers.ranks) rank.exchange->Restart();
    peers.group.Repair();
    const std::vector<float> again = SumInOrder(peers.Fill(100, 7));

    peers.OnRanks([&](int rank) { peers.Sum(static_cast<size_t>(rank)); });

    CHECK(!peers.group.is_broken());
    for (size_t rank = 0; rank < 3; ++rank) CHECK(peers.Values(rank) == again);
  }
}

TEST_CASE("Sums that are replayed find their numbers in memory, also after a repair") {
  for (const int num_ranks : {2, 4}) {
    CAPTURE(num_ranks);
    const MachineSettings machine(FourGpus(static_cast<uint64_t>(num_ranks)));
    PeerGroup peers(num_ranks);
    peers.Fill(100, 6);
    std::vector<std::unique_ptr<Graph>> graphs;
    for (size_t rank = 0; rank < peers.ranks.size(); ++rank) {
      Stream& stream = *peers.ranks[rank].stream;
      stream.BeginCapture();
      for (int time = 0; time < 3; ++time) peers.Sum(rank);
      graphs.push_back(std::move(stream.EndCapture().value()));
    }
    // Sums of their own lie between those of the graphs, and each graph comes several times.
    const auto sum_again = [&] {
      peers.OnRanks([&](int i) {
        const size_t rank = static_cast<size_t>(i);
        for (int time = 0; time < 2; ++time) {
          peers.ranks[rank].stream->Replay(*graphs[rank]);
          peers.Sum(rank);
        }
      });
    };
    const auto sums_of = [&](uint32_t values) {
      std::vector<std::vector<float>> expected = peers.Refill(values);
      for (int time = 0; time < 8; ++time) {
        expected.assign(expected.size(), SumInOrder(expected));
      }
      return expected[0];
    };
    const std::vector<float> expected = sums_of(6);
    sum_again();
    for (size_t rank = 0; rank < peers.ranks.size(); ++rank) {
      REQUIRE(peers.Values(rank) == expected);
    }

    // The last rank fails, while others are in a graph or have been in one more.
    peers.OnRanks([&](int i) {
      const size_t rank = static_cast<size_t>(i);
      if (i == num_ranks - 1) {
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
        peers.group.Break();
        return;
      }
      for (int time = 0; time <= i; ++time) peers.ranks[rank].stream->Replay(*graphs[rank]);
    });
    for (PeerGroup::Rank& rank : peers.ranks) rank.exchange->Restart();
    peers.group.Repair();
    const std::vector<float> again = sums_of(7);
    sum_again();

    CHECK(!peers.group.is_broken());
    for (size_t rank = 0; rank < peers.ranks.size(); ++rank) CHECK(peers.Values(rank) == again);
  }
}

TEST_CASE("A GPU that waits too long for another breaks the group") {
  simt::EmulatedMachine settings = FourGpus();
  settings.nanoseconds_per_pause = kPeerPatienceNs / 1000;
  const MachineSettings machine(settings);
  PeerGroup peers(2);
  peers.Fill(10, 8);

  peers.OnRanks([&](int rank) {
    if (rank == 0) peers.Sum(0);
  });

  CHECK(peers.group.is_broken());
}

TEST_CASE("GPUs without access to each other name the pair") {
  simt::EmulatedMachine settings = FourGpus();
  settings.has_peer_access = false;
  const MachineSettings machine(settings);

  const PeerGroup peers(3);

  for (const PeerGroup::Rank& rank : peers.ranks) {
    CHECK_EQ(rank.access, "cuda:0 has no access to the memory of cuda:1");
  }
}

}  // namespace
}  // namespace autoglm::cuda
