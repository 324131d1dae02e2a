#ifndef AUTOGLM_TEST_NATIVE_GPU_DECODER_H_
#define AUTOGLM_TEST_NATIVE_GPU_DECODER_H_

#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "golden.h"
#include "kernels/cuda/cuda_ops.h"
#include "model/decoder/decoder.h"

// It is included last, because its CHECK replaces the one of base/check.h.
#include "doctest/doctest.h"

namespace autoglm {

// Returns the options of a fixture on a GPU, or on so many ranks that are all the first GPU.
inline DecoderOptions GpuDecoderOptions(const std::string& fixture, Dtype activation_dtype,
                                        size_t num_ranks) {
  DecoderOptions options;
  options.directory = FixturePath(fixture);
  DeviceId gpu;
  gpu.kind = DeviceKind::kCuda;
  options.devices.assign(num_ranks, gpu);
  options.activation_dtype = activation_dtype;
  options.block_size = 16;
  options.kv_cache_bytes = 4 << 20;
  // What the first prompt takes: the largest step runs when a decoder is loaded.
  options.max_num_batched_tokens = std::ssize(Golden(fixture).Integers("prompt0.ids"));
  return options;
}

// Loads a fixture with these options.
inline std::unique_ptr<Decoder> LoadGpuDecoder(const std::string& fixture, Dtype activation_dtype,
                                               size_t num_ranks = 1) {
  Result<std::unique_ptr<Decoder>> decoder = Decoder::Load(
      GpuDecoderOptions(fixture, activation_dtype, num_ranks), cuda::OpenCuda);
  REQUIRE_MESSAGE(decoder.ok(), decoder.status().message());
  return std::move(decoder.value());
}

// Returns the logits of the fixture's first prompt.
inline std::vector<float> PromptLogits(Decoder& decoder, const Golden& golden) {
  TraceRequest request;
  request.token_ids = golden.Integers("prompt0.ids");
  for (int axis = 0; axis < 3; ++axis) {
    for (size_t i = 0; i < request.token_ids.size(); ++i) {
      request.positions.push_back(static_cast<int32_t>(i));
    }
  }
  DecoderTrace trace;
  const Status status = decoder.Trace(request, trace);
  REQUIRE_MESSAGE(status.ok(), status.message());
  return trace.logits;
}

}  // namespace autoglm

#endif  // AUTOGLM_TEST_NATIVE_GPU_DECODER_H_
