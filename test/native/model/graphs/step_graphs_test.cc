#include "model/graphs/step_graphs.h"

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "doctest/doctest.h"
#include "kernels/group/device_group.h"

namespace autoglm {
namespace {

// A device that captures, and writes down what it does.
class FakeContext final : public OpsContext {
 public:
  ThreadPool& threads() override { return threads_; }
  const kernels::ImageKernels& image_kernels() const override { return image_kernels_; }

  std::string trace;
  uint64_t graph_bytes = 1;
  bool has_memory = true;

 private:
  ThreadPool threads_{{}, 1};
  const kernels::ImageKernels image_kernels_ = {};
};

struct FakeGraph final : OpsGraph {
  FakeGraph(std::string name, uint64_t bytes) : name(std::move(name)), size(bytes) {}
  uint64_t bytes() const override { return size; }

  const std::string name;
  const uint64_t size;
};

Result<std::unique_ptr<OpsGraph>> Capture(OpsContext& context, const std::function<void()>& run) {
  FakeContext& fake = static_cast<FakeContext&>(context);
  if (!fake.has_memory) {
    fake.trace += "refuse ";
    return OutOfMemory("no memory");
  }
  const std::string before = fake.trace;
  fake.trace.clear();
  run();
  const std::string captured = std::move(fake.trace);
  fake.trace = before + "capture:" + captured;
  return std::unique_ptr<OpsGraph>(std::make_unique<FakeGraph>(captured, fake.graph_bytes));
}

void Replay(OpsContext& context, OpsGraph& graph) {
  static_cast<FakeContext&>(context).trace += "replay:" + static_cast<FakeGraph&>(graph).name;
}

struct FakeDevice {
  FakeDevice() {
    ops.capture = Capture;
    ops.replay = Replay;
    device = {&ops, std::make_unique<FakeContext>()};
  }
  FakeContext& context() { return static_cast<FakeContext&>(*device.context); }

  // Runs a step of so many sequences and returns what the device did.
  std::string Run(StepGraphs& graphs, int64_t num_sequences) {
    context().trace.clear();
    graphs.Run({num_sequences, 1},
               [&] { context().trace += "run" + std::to_string(num_sequences) + " "; });
    return context().trace;
  }

  Ops ops = {};
  Device device;
};

using Traces = std::pair<std::string, std::string>;

// Two ranks, each with a device and graphs of its own.
struct FakeGroup {
  FakeGroup() {
    first.context().group_rank = &places[0];
    second.context().group_rank = &places[1];
  }

  // Runs a step of so many sequences on both, and returns what each did.
  Traces Run(int64_t num_sequences) {
    Traces traces;
    std::thread other([&] { traces.second = second.Run(graphs_of_second, num_sequences); });
    traces.first = first.Run(graphs_of_first, num_sequences);
    other.join();
    return traces;
  }

  DeviceGroup group{2};
  const GroupRank places[2] = {{&group, 0}, {&group, 1}};
  FakeDevice first;
  FakeDevice second;
  StepGraphs graphs_of_first{first.device};
  StepGraphs graphs_of_second{second.device};
};

TEST_CASE("The first step of a bucket runs, the second is captured, and all from there on are replayed") {
  FakeDevice fake;
  StepGraphs graphs(fake.device);

  CHECK_EQ(fake.Run(graphs, 1), "run1 ");
  CHECK_EQ(fake.Run(graphs, 2), "run2 ");
  CHECK_EQ(fake.Run(graphs, 1), "capture:run1 replay:run1 ");
  CHECK_EQ(fake.Run(graphs, 1), "replay:run1 ");
  CHECK_EQ(fake.Run(graphs, 2), "capture:run2 replay:run2 ");
}

TEST_CASE("Beyond the most buckets the one is given up that has not been used for longest") {
  FakeDevice fake;
  StepGraphs graphs(fake.device);
  const int64_t most = StepGraphs::kMaxBuckets;
  for (int64_t i = 0; i < most; ++i) fake.Run(graphs, i);
  fake.Run(graphs, 0);

  CHECK_EQ(fake.Run(graphs, most), "run" + std::to_string(most) + " ");
  CHECK_EQ(fake.Run(graphs, 0), "replay:run0 ");
  CHECK_EQ(fake.Run(graphs, 1), "run1 ");
}

TEST_CASE("Graphs take no more memory together than they may") {
  FakeDevice fake;
  fake.context().graph_bytes = StepGraphs::kMaxBytes / 2;
  StepGraphs graphs(fake.device);
  for (int64_t i = 0; i < 3; ++i) {
    fake.Run(graphs, i);
    fake.Run(graphs, i);
  }

  CHECK_EQ(fake.Run(graphs, 2), "replay:run2 ");
  CHECK_EQ(fake.Run(graphs, 1), "replay:run1 ");
  CHECK_EQ(fake.Run(graphs, 0), "run0 ");
}

TEST_CASE("Steps run as they are where a graph has no memory, and it is not asked for again") {
  FakeDevice fake;
  fake.context().has_memory = false;
  StepGraphs graphs(fake.device);

  CHECK_EQ(fake.Run(graphs, 1), "run1 ");
  CHECK_EQ(fake.Run(graphs, 1), "refuse run1 ");
  CHECK_EQ(fake.Run(graphs, 1), "run1 ");
}

TEST_CASE("Ranks of a group give up the same graphs, though theirs take different memory") {
  FakeGroup fake;
  fake.first.context().graph_bytes = StepGraphs::kMaxBytes / 2;
  for (int64_t i = 0; i < 3; ++i) {
    fake.Run(i);
    fake.Run(i);
  }

  CHECK(fake.Run(2) == Traces("replay:run2 ", "replay:run2 "));
  CHECK(fake.Run(0) == Traces("run0 ", "run0 "));
}

TEST_CASE("If one rank of a group has no memory for a graph, all run their steps as they are") {
  FakeGroup fake;
  fake.second.context().has_memory = false;
  fake.Run(1);

  CHECK(fake.Run(1) == Traces("capture:run1 run1 ", "refuse run1 "));
  CHECK(fake.Run(1) == Traces("run1 ", "run1 "));
}

TEST_CASE("A step in a broken group runs, and once the group is repaired it is captured anew") {
  FakeGroup fake;
  fake.Run(1);
  fake.group.Break();

  CHECK(fake.Run(1) == Traces("capture:run1 run1 ", "capture:run1 run1 "));
  fake.graphs_of_first.Clear();
  fake.graphs_of_second.Clear();
  fake.group.Repair();
  CHECK(fake.Run(1) == Traces("run1 ", "run1 "));
  CHECK(fake.Run(1) == Traces("capture:run1 replay:run1 ", "capture:run1 replay:run1 "));
}

TEST_CASE("Graphs that were given up are captured anew") {
  FakeDevice fake;
  StepGraphs graphs(fake.device);
  fake.Run(graphs, 1);
  fake.Run(graphs, 1);

  graphs.Clear();

  CHECK_EQ(fake.Run(graphs, 1), "run1 ");
  CHECK_EQ(fake.Run(graphs, 1), "capture:run1 replay:run1 ");
}

}  // namespace
}  // namespace autoglm
