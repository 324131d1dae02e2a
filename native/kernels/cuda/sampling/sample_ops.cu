#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/cuda/cuda_context.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/sampling/request.h"
#include "kernels/cuda/sampling/sample_kernel.cuh"

namespace autoglm::cuda {
namespace {

size_t RoundUp(size_t bytes) { return (bytes + 255) / 256 * 256; }

// Places of a step in the memory of sampling: results, rows, words, and room to keep logits.
struct SampleLayout {
  explicit SampleLayout(const SampleRequest& request)
      : results_bytes(request.rows().size() * sizeof(SampleResult)),
        rows_bytes(request.rows().size() * sizeof(SampleRow)),
        words_bytes(request.words().size() * sizeof(uint32_t)),
        rows(RoundUp(results_bytes)),
        words(rows + RoundUp(rows_bytes)),
        saved(words + RoundUp(words_bytes)) {}

  size_t UploadBytes() const { return words + words_bytes - rows; }
  size_t Bytes() const { return saved + words_bytes; }

  size_t results_bytes;
  size_t rows_bytes;
  size_t words_bytes;
  size_t rows;
  size_t words;
  size_t saved;
};

// Makes the memory of sampling large enough; doubling keeps the number of allocations over a
// process's life small.
Status Reserve(CudaContext& cuda, size_t bytes) {
  if (bytes <= cuda.sample_memory.bytes()) return Status();
  Result<DeviceBuffer> grown = Allocate(cuda, std::max(bytes, 2 * cuda.sample_memory.bytes()));
  if (!grown.ok()) return grown.status();
  cuda.sample_memory = std::move(grown.value());
  return Status();
}

// Brings the results of the context's request, row by row; or refuses all of them.
Status Run(CudaContext& cuda, const MatrixView& logits) {
  const SampleRequest& request = cuda.sample_request;
  const SampleLayout layout(request);
  const Status reserved = Reserve(cuda, layout.Bytes());
  if (!reserved.ok()) return reserved;
  std::vector<std::byte>& upload = cuda.sample_upload;
  if (upload.size() < layout.UploadBytes()) upload.resize(layout.UploadBytes());
  std::memcpy(upload.data(), request.rows().data(), layout.rows_bytes);
  std::copy_n(reinterpret_cast<const std::byte*>(request.words().data()), layout.words_bytes,
              upload.data() + (layout.words - layout.rows));

  std::byte* const memory = cuda.sample_memory.as<std::byte>();
  cuda.stream().CopyIn(memory + layout.rows, upload.data(), layout.UploadBytes());
  Launch<SampleLogits>(cuda.stream(), {.x = static_cast<int>(request.rows().size())},
                       sizeof(SampleShared),
                       {.logits = logits.data,
                        .num_columns = static_cast<int>(logits.columns),
                        .rows = reinterpret_cast<const SampleRow*>(memory + layout.rows),
                        .words = reinterpret_cast<const uint32_t*>(memory + layout.words),
                        .saved = reinterpret_cast<float*>(memory + layout.saved),
                        .results = reinterpret_cast<SampleResult*>(memory)});
  cuda.sample_results.resize(request.rows().size());
  cuda.stream().CopyOut(cuda.sample_results.data(), memory, layout.results_bytes);
  return Status();
}

void Sample(OpsContext& context, const SampleOp& op) {
  const size_t num_rows = static_cast<size_t>(op.logits.rows);
  CHECK(op.logits.stride == op.logits.columns && op.logits.columns <= kMostTokens);
  CHECK(op.choices.size() == num_rows && op.chosen.size() == num_rows);
  CudaContext& cuda = Cuda(context);
  SampleRequest& request = cuda.sample_request;
  request.Begin(op.logits.columns);
  for (size_t i = 0; i < num_rows; ++i) {
    const TokenChoice& choice = op.choices[i];
    CHECK(choice.num_logprobs <= kMostTop);
    op.chosen[i] = UnchosenToken(choice, op.logits.columns);
    const bool asks = choice.sample.has_value() || choice.num_logprobs >= 0;
    if (asks && op.chosen[i].status.ok()) request.Add(static_cast<int64_t>(i), choice);
  }
  if (request.rows().empty()) return;

  const Status ran = Run(cuda, op.logits);
  for (size_t i = 0; i < request.rows().size(); ++i) {
    const size_t row = static_cast<size_t>(request.rows()[i].row);
    ChosenToken& chosen = op.chosen[row];
    if (ran.ok()) {
      TakeResult(op.choices[row], cuda.sample_results[i], chosen);
    } else {
      chosen.status = ran;
    }
  }
}

}  // namespace

void SetSampleOps(Ops& ops) { ops.sample = Sample; }

}  // namespace autoglm::cuda
