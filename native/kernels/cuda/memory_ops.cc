#include <algorithm>

#include "device/gpu_driver.h"
#include "device/host_memory.h"
#include "kernels/cuda/cuda_context.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/dispatch.h"
#include "kernels/packing/convert.h"

namespace autoglm::cuda {
namespace {

// Values that are converted before they are copied, and those that one thread converts of them.
constexpr int64_t kValuesPerPiece = int64_t{4} << 20;
constexpr int64_t kValuesPerTask = int64_t{256} << 10;

// What a process takes of a GPU beside what it allocates: the driver's context, the code of the kernels
// and their stacks. It is thought to be so much where nobody tells, and never more than the second.
constexpr uint64_t kDriverBytes = uint64_t{512} << 20;
constexpr uint64_t kMaxDriverBytes = uint64_t{4} << 30;

FreeMemory FindFreeMemory(OpsContext& context) {
  CudaContext& cuda = Cuda(context);
  const GpuMemory memory = cuda.stream().ReadMemory();
  return {memory.free_bytes, GibText(memory.free_bytes) + " of the " +
                                 GibText(memory.total_bytes) + " of " + cuda.name() + " are free"};
}

Status OutOfMemoryOf(CudaContext& cuda, size_t bytes) {
  return OutOfMemory(cuda.name() + " is out of memory: " + GibText(bytes) + " were asked for, " +
                     FindFreeMemory(cuda).in_words +
                     "; a shorter context, fewer sequences, quantized weights or a second GPU need "
                     "less of it");
}

std::optional<OwnMemory> FindOwnMemory(OpsContext& context) {
  CudaContext& cuda = Cuda(context);
  const int ordinal = cuda.stream().ordinal();
  const uint64_t driver =
      DriverBytes(GpuDriver::OfProcess().ProcessMemory(ordinal), Stream::TakenOf(ordinal));
  return OwnMemory{cuda.name(), cuda.stream().properties().memory_bytes,
                   cuda.stream().taken_bytes() + driver};
}

}  // namespace

// A process number that another namespace has too may belong to somebody else.
uint64_t DriverBytes(std::optional<uint64_t> process, uint64_t taken) {
  if (!process.has_value() || *process < taken) return kDriverBytes;
  const uint64_t driver = *process - taken;
  return driver <= kMaxDriverBytes ? driver : kDriverBytes;
}

Result<DeviceBuffer> Allocate(OpsContext& context, size_t bytes) {
  CudaContext& cuda = Cuda(context);
  Result<DeviceBuffer> buffer = cuda.stream().Allocate(bytes);
  if (buffer.ok() || buffer.status().reason() != Reason::kOutOfMemory) return buffer;
  return OutOfMemoryOf(cuda, bytes);
}

const kernels::ConvertKernels& HostConvert() {
  const Result<kernels::KernelChoice>& active = kernels::ActiveKernels();
  CHECK(active.ok());
  return active.value().chosen.kernels.convert;
}

namespace {

void CopyIn(OpsContext& context, const CopyInOp& op) {
  Cuda(context).stream().CopyIn(op.target, op.source, op.bytes);
}

Result<SharedDeviceMemory> AllocateShared(OpsContext& context, size_t bytes) {
  CudaContext& cuda = Cuda(context);
  Result<SharedDeviceMemory> shared = cuda.stream().AllocateShared(bytes);
  if (shared.ok() || shared.status().reason() != Reason::kOutOfMemory) return shared;
  return OutOfMemoryOf(cuda, bytes);
}

Result<DeviceBuffer> OpenShared(OpsContext& context, const MemoryHandle& handle, size_t bytes) {
  return Cuda(context).stream().OpenShared(handle, bytes);
}

std::vector<std::string> ReachableDevices(OpsContext& context) {
  const int own = Cuda(context).stream().ordinal();
  std::vector<std::string> names = {Stream::UuidOf(own)};
  for (int other = 0; other < Stream::NumGpus(); ++other) {
    if (other != own && Stream::CanAccess(own, other)) names.push_back(Stream::UuidOf(other));
  }
  return names;
}

void Copy(OpsContext& context, const CopyOp& op) {
  Cuda(context).stream().Copy(op.target, op.source, op.bytes);
}

void Upload(OpsContext& context, const UploadOp& op) {
  CudaContext& cuda = Cuda(context);
  const int64_t total = op.source.NumElements();
  const size_t source_bytes = DtypeBytes(op.source.dtype);
  const size_t target_bytes = DtypeBytes(op.dtype);
  const char* const source = static_cast<const char*>(op.source.data);
  if (op.source.dtype == op.dtype) {
    cuda.stream().CopyIn(op.target, source, static_cast<size_t>(total) * target_bytes);
    return;
  }
  for (int64_t begin = 0; begin < total; begin += kValuesPerPiece) {
    const int64_t count = std::min(kValuesPerPiece, total - begin);
    const size_t bytes = static_cast<size_t>(count) * target_bytes;
    if (cuda.converted.size() < bytes) cuda.converted.resize(bytes);
    cuda.threads().ParallelFor(DivideUp(count, kValuesPerTask), [&](int64_t task) {
      const int64_t first = task * kValuesPerTask;
      ConvertValues(HostConvert(),
                    {.source = source + static_cast<size_t>(begin + first) * source_bytes,
                     .source_dtype = op.source.dtype,
                     .target = cuda.converted.data() + static_cast<size_t>(first) * target_bytes,
                     .target_dtype = op.dtype,
                     .count = std::min(kValuesPerTask, count - first)});
    });
    cuda.stream().CopyIn(static_cast<char*>(op.target) + static_cast<size_t>(begin) * target_bytes,
                         cuda.converted.data(), bytes);
  }
}

float* HostRows(OpsContext& context, const MatrixView& x) {
  CHECK(x.stride == x.columns);
  CudaContext& cuda = Cuda(context);
  const size_t count = static_cast<size_t>(x.rows * x.columns);
  if (cuda.host_rows.size() < count) cuda.host_rows.resize(count);
  cuda.stream().CopyOut(cuda.host_rows.data(), x.data, count * sizeof(float));
  return cuda.host_rows.data();
}

}  // namespace

void SetMemoryOps(Ops& ops) {
  ops.free_memory = FindFreeMemory;
  ops.own_memory = FindOwnMemory;
  ops.allocate = Allocate;
  ops.upload = Upload;
  ops.copy_in = CopyIn;
  ops.allocate_shared = AllocateShared;
  ops.open_shared = OpenShared;
  ops.reachable_devices = ReachableDevices;
  ops.copy = Copy;
  ops.host_rows = HostRows;
}

}  // namespace autoglm::cuda
