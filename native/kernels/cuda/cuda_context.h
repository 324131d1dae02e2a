#ifndef AUTOGLM_KERNELS_CUDA_CUDA_CONTEXT_H_
#define AUTOGLM_KERNELS_CUDA_CUDA_CONTEXT_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "device/device_id.h"
#include "device/memory.h"
#include "device/thread_pool.h"
#include "kernels/cuda/gemm/gemm_scratch.h"
#include "kernels/cuda/group/peer_exchange.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/sampling/request.h"
#include "kernels/dispatch.h"
#include "kernels/ops.h"

namespace autoglm::cuda {

// Room for nine heads of 13,416 patches of 128 dims, or for 4,000 rows of 32 heads times segments
// of 256 keys.
inline constexpr size_t kAttentionScratchBytes = size_t{64} << 20;

// State of a GPU as its operations see it.
class CudaContext final : public OpsContext {
  // The stream outlives the memory that was taken of it.
  const std::unique_ptr<Stream> stream_;
  const std::string name_;

 public:
  explicit CudaContext(std::unique_ptr<Stream> stream, const DeviceId& id = {})
      : stream_(std::move(stream)),
        name_("cuda:" + std::to_string(id.ordinal)),
        threads_(id.cores, id.max_threads) {}

  ThreadPool& threads() override { return threads_; }
  const kernels::ImageKernels& image_kernels() const override {
    return kernels::ActiveKernels().value().chosen.kernels.image;
  }
  Stream& stream() { return *stream_; }
  const GpuProperties& properties() const { return stream_->properties(); }
  const std::string& name() const { return name_; }

  // What products overwrite, taken when weights are prepared.
  GemmScratch gemm_scratch;
  // What attention overwrites, kAttentionScratchBytes taken when the device is opened: results of
  // segments that blocks compute apart, and what full attention reads in bfloat16. Where it is too
  // small, blocks walk more segments, or read float32, which is slower; relative positions of more
  // keys than it holds are multiplied in float32.
  DeviceBuffer attention_scratch;
  // What the rows of a sampling step ask for, and their results: on the host, what is uploaded of it,
  // and on the GPU. All of it grows to the largest step.
  SampleRequest sample_request;
  std::vector<std::byte> sample_upload;
  DeviceBuffer sample_memory;
  std::vector<SampleResult> sample_results;
  // Rows that host_rows returned last.
  std::vector<float> host_rows;
  // By which the ranks of a group meet; null: in memory of the host, where `meeting` has values that
  // they put together.
  std::unique_ptr<PeerExchange> peers;
  std::vector<float> meeting;
  // Values that are converted on their way to the GPU.
  std::vector<char> converted;

 private:
  ThreadPool threads_;
};

inline CudaContext& Cuda(OpsContext& context) { return static_cast<CudaContext&>(context); }

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_CUDA_CONTEXT_H_
