#include "kernels/group/device_group.h"

#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "doctest/doctest.h"
#include "kernels/group/rank_threads.h"

namespace autoglm {
namespace {

// Returns values of very different sizes, whose sums depend on the order.
std::vector<float> Values(int rank, size_t count) {
  std::mt19937 random(static_cast<uint32_t>(rank));
  std::uniform_real_distribution<float> unit(-1.0f, 1.0f);
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = unit(random) * (i % 3 == 0 ? 1e6f : 1.0f);
  return values;
}

TEST_CASE("A group finds the least value of its ranks, again and again") {
  DeviceGroup group(3);
  std::vector<int64_t> least(3);
  for (const int64_t offset : {0, 100}) {
    RankThreads(3).Run([&](int rank) {
      least[static_cast<size_t>(rank)] = group.Least(rank, offset + (rank == 1 ? -5 : rank));
    });
    CHECK(least == std::vector<int64_t>(3, offset - 5));
  }
}

TEST_CASE("A group sums in the order of its ranks, whatever their number and the length") {
  for (const int num_ranks : {1, 2, 3, 4}) {
    for (const size_t count : {size_t{0}, size_t{1}, size_t{15}, size_t{4096}, size_t{100001}}) {
      CAPTURE(num_ranks);
      CAPTURE(count);
      std::vector<std::vector<float>> values;
      for (int rank = 0; rank < num_ranks; ++rank) values.push_back(Values(rank, count));
      std::vector<float> expected = values[0];
      for (size_t rank = 1; rank < values.size(); ++rank) {
        for (size_t i = 0; i < count; ++i) expected[i] += values[rank][i];
      }

      DeviceGroup group(num_ranks);
      RankThreads(num_ranks).Run([&](int rank) {
        ThreadPool threads({}, 2);
        group.Sum(rank, values[static_cast<size_t>(rank)], threads);
      });

      for (const std::vector<float>& one : values) REQUIRE_EQ(one, expected);
    }
  }
}

TEST_CASE("A group sums again and again, as a step does") {
  constexpr int kRanks = 3;
  constexpr int kTimes = 2000;
  std::vector<std::vector<float>> values(kRanks, std::vector<float>(100, 1.0f));
  DeviceGroup group(kRanks);

  RankThreads(kRanks).Run([&](int rank) {
    ThreadPool threads({}, 1);
    std::vector<float>& own = values[static_cast<size_t>(rank)];
    for (int i = 0; i < kTimes; ++i) {
      group.Sum(rank, own, threads);
      for (float& value : own) value -= kRanks - 1;
    }
  });

  for (const std::vector<float>& own : values) CHECK_EQ(own, std::vector<float>(100, 1.0f));
}

TEST_CASE("A group gathers columns of different widths on the ranks that want them") {
  std::vector<float> first = {1, 2, 3, 4, 5, 6};  // [2, 3]
  std::vector<float> second = {7, 8};             // [2, 1]
  std::vector<float> whole(8);
  DeviceGroup group(2);

  RankThreads(2).Run([&](int rank) {
    ThreadPool threads({}, 1);
    if (rank == 0) {
      group.Gather(0, DenseMatrix(first.data(), 2, 3), DenseMatrix(whole.data(), 2, 4), threads);
    } else {
      group.Gather(1, DenseMatrix(second.data(), 2, 1), {}, threads);
    }
  });

  CHECK_EQ(whole, std::vector<float>{1, 2, 3, 7, 4, 5, 6, 8});
}

TEST_CASE("The ranks of a broken group leave, and meet again when it is repaired") {
  constexpr int kRanks = 3;
  std::vector<std::vector<float>> values(kRanks, std::vector<float>(64, 1.0f));
  DeviceGroup group(kRanks);
  RankThreads threads(kRanks);
  for (int round = 0; round < 100; ++round) {
    threads.Run([&](int rank) {
      ThreadPool pool({}, 1);
      if (rank == round % kRanks) {
        group.Break();
        return;
      }
      for (int i = 0; i < 3; ++i) group.Sum(rank, values[static_cast<size_t>(rank)], pool);
    });
    group.Repair();
  }
  for (std::vector<float>& own : values) own.assign(64, 2.0f);

  threads.Run([&](int rank) {
    ThreadPool pool({}, 1);
    group.Sum(rank, values[static_cast<size_t>(rank)], pool);
  });

  for (const std::vector<float>& own : values) CHECK_EQ(own, std::vector<float>(64, 6.0f));
}

TEST_CASE("Each rank has one thread, and the caller's is that of rank 0") {
  RankThreads threads(3);
  std::vector<std::thread::id> first(3);
  threads.Run([&](int rank) { first[static_cast<size_t>(rank)] = std::this_thread::get_id(); });

  std::vector<std::thread::id> second(3);
  threads.Run([&](int rank) { second[static_cast<size_t>(rank)] = std::this_thread::get_id(); });

  CHECK_EQ(first, second);
  CHECK_EQ(first[0], std::this_thread::get_id());
  CHECK_NE(first[1], first[0]);
  CHECK_NE(first[2], first[1]);
}

}  // namespace
}  // namespace autoglm
