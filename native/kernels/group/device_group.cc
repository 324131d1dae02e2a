#include "kernels/group/device_group.h"

#include <algorithm>
#include <thread>

#include "base/check.h"

namespace autoglm {
namespace {

constexpr int64_t kLineValues = 16;  // 64 bytes, so that no two ranks write one cache line
constexpr int64_t kBlockValues = 1024;
// Fewer values are summed before another thread would wake.
constexpr int64_t kValuesPerTask = 16 * kBlockValues;

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Sums values begin .. end - 1 over the ranks, and writes the sums to each of them.
void SumRange(std::span<float* const> ranks, int64_t begin, int64_t end) {
  float sums[kBlockValues];
  for (int64_t block = begin; block < end; block += kBlockValues) {
    const int64_t count = std::min(kBlockValues, end - block);
    std::copy_n(ranks[0] + block, count, sums);
    for (size_t rank = 1; rank < ranks.size(); ++rank) {
      const float* const values = ranks[rank] + block;
      for (int64_t i = 0; i < count; ++i) sums[i] += values[i];
    }
    for (float* const rank : ranks) std::copy_n(sums, count, rank + block);
  }
}

}  // namespace

DeviceGroup::DeviceGroup(int num_ranks)
    : barrier_(num_ranks),
      sums_(static_cast<size_t>(num_ranks)),
      parts_(static_cast<size_t>(num_ranks)),
      values_(static_cast<size_t>(num_ranks)) {}

template <typename Work>
void DeviceGroup::Together(const Work& work) {
  num_inside_.fetch_add(1);
  if (barrier_.Wait()) work();
  num_inside_.fetch_sub(1);
  if (barrier_.Wait()) return;
  // Of a broken group some ranks leave early; what they offered is theirs again when all are out.
  while (num_inside_.load() != 0) std::this_thread::yield();
}

// Each rank sums its share of the values and writes it to all: nobody else reads or writes there
// meanwhile.
void DeviceGroup::Sum(int rank, std::span<float> values, ThreadPool& threads) {
  sums_[static_cast<size_t>(rank)] = values.data();
  const int64_t total = std::ssize(values);
  const int64_t share = DivideUp(DivideUp(total, num_ranks()), kLineValues) * kLineValues;
  const int64_t begin = std::min(rank * share, total);
  const int64_t end = std::min(begin + share, total);
  Together([&] {
    threads.ParallelFor(DivideUp(end - begin, kValuesPerTask), [&](int64_t task) {
      const int64_t first = begin + task * kValuesPerTask;
      SumRange(sums_, first, std::min(first + kValuesPerTask, end));
    });
  });
}

void DeviceGroup::Gather(int rank, const MatrixView& part, const MatrixView& whole,
                         ThreadPool& threads) {
  parts_[static_cast<size_t>(rank)] = part;
  Together([&] {
    if (whole.data == nullptr) return;
    threads.ParallelFor(whole.rows, [&](int64_t row) {
      float* target = whole.data + row * whole.stride;
      for (const MatrixView& one : parts_) {
        target = std::copy_n(one.data + row * one.stride, one.columns, target);
      }
      CHECK(target == whole.data + row * whole.stride + whole.columns);
    });
  });
}

int64_t DeviceGroup::Least(int rank, int64_t value) {
  std::vector<int64_t> all(values_.size());
  return Share(rank, value, all) ? *std::min_element(all.begin(), all.end()) : value;
}

bool DeviceGroup::Share(int rank, int64_t value, std::span<int64_t> all) {
  CHECK(all.size() == values_.size());
  values_[static_cast<size_t>(rank)] = value;
  bool is_shared = false;
  Together([&] {
    std::copy(values_.begin(), values_.end(), all.begin());
    is_shared = true;
  });
  return is_shared;
}

// Whoever breaks the group looks for the word after that, and whoever sets the word looks whether the
// group is broken after that: one of them sees the other.
void DeviceGroup::Break() {
  barrier_.Break();
  std::atomic<uint64_t>* const word = break_word_.load();
  if (word != nullptr) word->store(1);
}

void DeviceGroup::SetBreakWord(std::atomic<uint64_t>* word) {
  break_word_.store(word);
  if (word != nullptr && barrier_.is_broken()) word->store(1);
}

bool DeviceGroup::is_broken() const {
  const std::atomic<uint64_t>* const word = break_word_.load();
  return barrier_.is_broken() || (word != nullptr && word->load() != 0);
}

void DeviceGroup::Repair() {
  barrier_.Repair();
  std::atomic<uint64_t>* const word = break_word_.load();
  if (word != nullptr) word->store(0);
  ++num_repairs_;
}

}  // namespace autoglm
