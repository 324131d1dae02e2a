#include <algorithm>
#include <cstring>

#include "device/host_memory.h"
#include "kernels/packing/convert.h"
#include "kernels/cpu/cpu_context.h"
#include "kernels/cpu/cpu_ops.h"

namespace autoglm::cpu {
namespace {

constexpr int64_t kValuesPerUploadTask = int64_t{1} << 20;

Result<DeviceBuffer> Allocate(OpsContext&, size_t bytes) { return AllocateHostMemory(bytes); }

FreeMemory FindFreeMemory(OpsContext&) {
  const HostMemory memory = ReadHostMemory();
  return {memory.FreeBytes(), memory.InWords(), true};
}

std::optional<OwnMemory> FindOwnMemory(OpsContext&) { return std::nullopt; }

void Upload(OpsContext& context, const UploadOp& op) {
  CpuContext& cpu = Cpu(context);
  const int64_t count = op.source.NumElements();
  const char* source = static_cast<const char*>(op.source.data);
  char* target = static_cast<char*>(op.target);
  const int64_t num_tasks = (count + kValuesPerUploadTask - 1) / kValuesPerUploadTask;
  cpu.threads().ParallelFor(num_tasks, [&](int64_t task) {
    const int64_t begin = task * kValuesPerUploadTask;
    ConvertValues(cpu.kernels().convert, {.source = source + begin * DtypeBytes(op.source.dtype),
                                          .source_dtype = op.source.dtype,
                                          .target = target + begin * DtypeBytes(op.dtype),
                                          .target_dtype = op.dtype,
                                          .count = std::min(kValuesPerUploadTask, count - begin)});
  });
}

void CopyIn(OpsContext&, const CopyInOp& op) {
  if (op.bytes > 0) std::memcpy(op.target, op.source, op.bytes);
}

float* HostRows(OpsContext&, const MatrixView& x) {
  CHECK(x.stride == x.columns);
  return x.data;
}

void Gather(OpsContext& context, const GatherOp& op) {
  CpuContext& cpu = Cpu(context);
  const size_t row_bytes = static_cast<size_t>(op.y.columns) * DtypeBytes(op.dtype);
  cpu.ForRows(op.y.rows, op.y.columns, [&](int64_t begin, int64_t count) {
    for (int64_t i = begin; i < begin + count; ++i) {
      CHECK(op.rows[i] >= 0 && op.rows[i] < op.num_rows);
      ConvertValues(cpu.kernels().convert,
                    {.source = static_cast<const char*>(op.table) + op.rows[i] * row_bytes,
                     .source_dtype = op.dtype,
                     .target = op.y.data + i * op.y.stride,
                     .target_dtype = Dtype::kFloat32,
                     .count = op.y.columns});
    }
  });
}

}  // namespace

void SetMemoryOps(Ops& ops) {
  ops.free_memory = FindFreeMemory;
  ops.own_memory = FindOwnMemory;
  ops.allocate = Allocate;
  ops.upload = Upload;
  ops.copy_in = CopyIn;
  ops.host_rows = HostRows;
  ops.gather = Gather;
}

}  // namespace autoglm::cpu
