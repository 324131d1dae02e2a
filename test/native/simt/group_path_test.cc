// How GPUs of a group meet, with and without access to each other's memory.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "simt/emulated_gpu.h"

#include "kernels/cuda/cuda_context.h"

// It is included last, because it includes doctest, whose CHECK replaces the one of base/check.h.
#include "kernels/cuda/gpu_decoder.h"

namespace autoglm {
namespace {

struct GroupRun {
  std::string path;
  std::vector<float> logits;
};

// Runs the fixture's first prompt on so many different GPUs.
GroupRun RunOnGpus(int num_ranks, bool has_peer_access) {
  simt::EmulatedMachine settings = simt::Machine();
  settings.num_gpus = num_ranks;
  settings.has_peer_access = has_peer_access;
  const simt::MachineSettings machine(settings);
  DecoderOptions options =
      GpuDecoderOptions("glm4-tiny-bf16", Dtype::kBfloat16, static_cast<size_t>(num_ranks));
  for (int rank = 0; rank < num_ranks; ++rank) {
    options.devices[static_cast<size_t>(rank)].ordinal = rank;
  }
  Result<std::unique_ptr<Decoder>> decoder = Decoder::Load(options, cuda::OpenCuda);
  REQUIRE_MESSAGE(decoder.ok(), decoder.status().message());
  GroupRun run = {decoder.value()->description().group_path,
                  PromptLogits(*decoder.value(), Golden("glm4-tiny-bf16"))};
  return run;
}

TEST_CASE("GPUs compute the same bits with and without access to each other's memory") {
  for (const int num_ranks : {2, 4}) {
    CAPTURE(num_ranks);
    const GroupRun peers = RunOnGpus(num_ranks, true);
    const GroupRun host = RunOnGpus(num_ranks, false);

    CHECK_EQ(peers.path, "peer access");
    CHECK_EQ(host.path,
             "memory of the host, because cuda:0 has no access to the memory of cuda:1; so no step "
             "replays a graph of kernels");
    CHECK(peers.logits == host.logits);
  }
}

TEST_CASE("What ranks exchange is counted as memory of their GPUs") {
  const auto taken_of = [](size_t num_ranks) {
    const std::unique_ptr<Decoder> decoder =
        LoadGpuDecoder("glm4-tiny", Dtype::kFloat32, num_ranks);
    return cuda::Stream::TakenOf(0);
  };
  CHECK_GT(taken_of(2), taken_of(1) + 2 * sizeof(cuda::PeerMemory));
}

}  // namespace
}  // namespace autoglm
