// Ranks of a group on GPUs. Both are the first GPU, so that a machine with one runs this too.

#include <memory>
#include <vector>

#include "kernels/cuda/gpu_decoder.h"

namespace autoglm {
namespace {

TEST_CASE("A decoder over two GPUs agrees with the reference") {
  const Golden golden("glm4-tiny");
  const std::unique_ptr<Decoder> decoder = LoadGpuDecoder("glm4-tiny", Dtype::kFloat32, 2);

  const std::vector<float> logits = PromptLogits(*decoder, golden);

  CHECK_LT(RelativeError(logits, golden.Floats("prompt0.logits")), 2e-4);
}

TEST_CASE("Sums over two GPUs have the same bits each time") {
  const Golden golden("glm4-tiny-bf16");
  const std::unique_ptr<Decoder> decoder = LoadGpuDecoder("glm4-tiny-bf16", Dtype::kBfloat16, 2);

  const std::vector<float> first = PromptLogits(*decoder, golden);

  CHECK(PromptLogits(*decoder, golden) == first);
}

}  // namespace
}  // namespace autoglm
