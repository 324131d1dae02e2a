#include "model/weights/weight_cache.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "doctest/doctest.h"
#include "kernels/open_device.h"
#include "temporary_directory.h"

namespace autoglm {
namespace {

using Outcome = WeightCacheReport::Outcome;

constexpr int64_t kCount = 100;

// A model of some vectors, each of one number many times.
class Model {
 public:
  explicit Model(std::vector<float> numbers) : numbers_(std::move(numbers)) {}

  Status LoadInto(WeightMemory& memory) {
    vectors_.clear();
    for (const float number : numbers_) {
      const Result<WeightMemory::Place> place = memory.Take(PlainEntry(Dtype::kFloat32, kCount));
      if (!place.ok()) return place.status();
      float* const vector = static_cast<float*>(place.value().data);
      if (!place.value().is_filled) {
        std::fill(vector, vector + kCount, number);
        ++num_filled_;
      }
      vectors_.push_back(vector);
    }
    return Status();
  }

  // Returns true if every number of the model in memory is right.
  bool IsRight() const {
    for (size_t i = 0; i < numbers_.size(); ++i) {
      const auto is_right = [&](float value) { return value == numbers_[i]; };
      if (!std::all_of(vectors_[i], vectors_[i] + kCount, is_right)) return false;
    }
    return vectors_.size() == numbers_.size();
  }
  int num_filled() const { return num_filled_; }

 private:
  const std::vector<float> numbers_;
  std::vector<const float*> vectors_;
  int num_filled_ = 0;
};

LoadedWeights Load(Model& model, const std::string& folder, const std::string& version = "1") {
  const Result<Device> device = OpenDevice({});
  REQUIRE(device.ok());
  const WeightLoad load = {
      .cache = {.folder = folder, .model = "/models/glm", .version = version}};
  Result<LoadedWeights> loaded = LoadWeights(
      device.value(), load, [&](WeightMemory& memory) { return model.LoadInto(memory); });
  REQUIRE(loaded.ok());
  return std::move(loaded.value());
}

size_t NumFiles(const std::string& folder, const std::string& ending) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().string().ends_with(ending)) ++count;
  }
  return count;
}

TEST_CASE("Without a folder weights are read each time") {
  Model model({1.0f, 2.0f});

  const LoadedWeights loaded = Load(model, "");

  CHECK(loaded.cache.outcome == Outcome::kOff);
  CHECK(model.IsRight());
  CHECK_EQ(model.num_filled(), 2);
}

TEST_CASE("The first load writes the weights, the next ones map them") {
  const TemporaryDirectory folder;
  Model first({1.0f, 2.0f});
  Model second({1.0f, 2.0f});

  const LoadedWeights written = Load(first, folder.path() + "/new");
  const LoadedWeights mapped = Load(second, folder.path() + "/new");

  CHECK(written.cache.outcome == Outcome::kWritten);
  CHECK_EQ(written.cache.reason, "");
  CHECK(first.IsRight());
  CHECK(mapped.cache.outcome == Outcome::kMapped);
  CHECK(second.IsRight());
  CHECK_EQ(second.num_filled(), 0);
  CHECK_EQ(mapped.memory->bytes(), written.memory->bytes());
}

TEST_CASE("Weights of another version take the place of the old ones") {
  const TemporaryDirectory folder;
  Model before({1.0f});
  Model after({3.0f});
  Load(before, folder.path(), "1");

  const LoadedWeights loaded = Load(after, folder.path(), "2");

  CHECK(loaded.cache.outcome == Outcome::kWritten);
  CHECK_NE(loaded.cache.reason.find("another checkpoint"), std::string::npos);
  CHECK(after.IsRight());
  CHECK_EQ(NumFiles(folder.path(), ".weights"), 1);
}

TEST_CASE("A file that does not hold the model's weights is written again") {
  const TemporaryDirectory folder;
  for (const size_t num_weights : {1, 3}) {
    CAPTURE(num_weights);
    Model other(std::vector<float>(num_weights, 1.0f));
    Model model({1.0f, 2.0f});
    Load(other, folder.path());

    const LoadedWeights loaded = Load(model, folder.path());

    CHECK(loaded.cache.outcome == Outcome::kWritten);
    CHECK_NE(loaded.cache.reason, "");
    CHECK(model.IsRight());
  }
}

TEST_CASE("A damaged file is written again") {
  const TemporaryDirectory folder;
  Model first({1.0f});
  const std::string path = Load(first, folder.path()).cache.path;
  std::filesystem::resize_file(path, 100);
  Model second({1.0f});

  const LoadedWeights loaded = Load(second, folder.path());

  CHECK(loaded.cache.outcome == Outcome::kWritten);
  CHECK_NE(loaded.cache.reason.find(path), std::string::npos);
  CHECK(second.IsRight());
}

TEST_CASE("What a process left that ended while it wrote is removed") {
  const TemporaryDirectory folder;
  Model model({1.0f});
  const std::string path = Load(model, folder.path()).cache.path;
  std::filesystem::rename(path, path + ".1.tmp");

  Load(model, folder.path());

  CHECK_EQ(NumFiles(folder.path(), ".tmp"), 0);
  CHECK_EQ(NumFiles(folder.path(), ".weights"), 1);
}

TEST_CASE("A folder that cannot be used costs the cache, not the model") {
  const TemporaryDirectory folder;
  folder.Write("file", "");
  Model model({1.0f, 2.0f});

  const LoadedWeights loaded = Load(model, folder.path() + "/file");

  CHECK(loaded.cache.outcome == Outcome::kUnused);
  CHECK_NE(loaded.cache.reason, "");
  CHECK(model.IsRight());
  CHECK_GT(loaded.memory->bytes(), 0);
}

TEST_CASE("Of several loads at once one writes, and all have their weights from its file") {
  const TemporaryDirectory folder;
  constexpr size_t kNumLoads = 4;
  std::vector<Model> models(kNumLoads, Model(std::vector<float>(1000, 5.0f)));
  std::vector<LoadedWeights> loaded(kNumLoads);
  std::vector<std::thread> threads;

  for (size_t i = 0; i < kNumLoads; ++i) {
    threads.emplace_back([&, i] { loaded[i] = Load(models[i], folder.path()); });
  }
  for (std::thread& thread : threads) thread.join();

  const auto was_written = [](const LoadedWeights& one) {
    return one.cache.outcome == Outcome::kWritten;
  };
  CHECK_EQ(std::count_if(loaded.begin(), loaded.end(), was_written), 1);
  for (const LoadedWeights& one : loaded) CHECK(one.cache.outcome != Outcome::kUnused);
  for (const Model& model : models) CHECK(model.IsRight());
}

TEST_CASE("A model that does not fit is refused with what it needs and what is free") {
  const FreeMemory free = {1000, "1000 bytes of the group's"};

  CHECK(CheckMemory(600, 400, free).ok());
  const Status refused = CheckMemory(size_t{3} << 30, size_t{1} << 30, free);

  CHECK(refused.reason() == Reason::kOutOfMemory);
  CHECK_EQ(refused.message(),
           "the model does not fit in memory: weights of 3.00 GiB and a KV cache of 1.00 GiB; "
           "1000 bytes of the group's");
}

}  // namespace
}  // namespace autoglm
