#include "model/graphs/step_graphs.h"

#include <memory>
#include <string>

#include "doctest/doctest.h"

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
