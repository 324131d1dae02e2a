#include "model/checkpoint/weight_loader.h"

#include <algorithm>
#include <utility>

#include "base/float_bits.h"

namespace autoglm {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kChunkBytes = size_t{32} << 20;

float ReadValue(const TensorView& tensor, int64_t index) {
  switch (tensor.dtype) {
    case Dtype::kFloat32:
      return static_cast<const float*>(tensor.data)[index];
    case Dtype::kBfloat16:
      return BFloat16ToFloat(static_cast<const uint16_t*>(tensor.data)[index]);
    case Dtype::kFloat16:
      return Float16ToFloat(static_cast<const uint16_t*>(tensor.data)[index]);
  }
  return 0.0f;
}

}  // namespace

Result<void*> WeightMemory::Allocate(const Device& device, size_t bytes) {
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (chunks_.empty() || chunks_.back().bytes() - used_ < rounded) {
    Result<DeviceBuffer> chunk =
        device.ops->allocate(*device.context, std::max(rounded, kChunkBytes));
    if (!chunk.ok()) return chunk.status();
    chunks_.push_back(std::move(chunk.value()));
    used_ = 0;
  }
  void* data = chunks_.back().as<char>() + used_;
  used_ += rounded;
  bytes_ += rounded;
  return data;
}

void* WeightLoader::Allocate(size_t bytes) {
  if (!status_.ok()) return nullptr;
  const Result<void*> memory = memory_.Allocate(device_, bytes);
  if (memory.ok()) return memory.value();
  status_ = memory.status();
  return nullptr;
}

TensorView WeightLoader::Find(const std::string& name, const std::vector<int64_t>& shape) {
  if (!status_.ok()) return {};
  if (options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed)) {
    status_ = Status(Reason::kEngineClosed, "closed while it was loading");
    return {};
  }
  Result<TensorView> tensor = source_.Find(options_.part, name, shape);
  if (tensor.ok()) return std::move(tensor.value());
  status_ = tensor.status();
  return {};
}

const void* WeightLoader::Upload(const TensorView& source, Dtype dtype) {
  void* target = Allocate(static_cast<size_t>(source.NumElements()) * DtypeBytes(dtype));
  if (target != nullptr) device_.ops->upload(*device_.context, {source, dtype, target});
  return target;
}

const float* WeightLoader::LoadVector(const std::string& name, int64_t size) {
  return LoadFloats(name, {size});
}

const float* WeightLoader::LoadFloats(const std::string& name, const std::vector<int64_t>& shape) {
  return static_cast<const float*>(Upload(Find(name, shape), Dtype::kFloat32));
}

EmbeddingTable WeightLoader::LoadTable(const std::string& name, int64_t num_rows, int64_t columns) {
  const Dtype dtype = UnpackedDtype(options_.format);
  return {Upload(Find(name, {num_rows, columns}), dtype), dtype, num_rows, columns};
}

PackedMatrix WeightLoader::Pack(const std::vector<WeightRows>& rows, int64_t depth) {
  WeightShape shape = {.format = options_.format, .columns = 0, .depth = depth};
  for (const WeightRows& part : rows) shape.columns += part.rows;
  void* packed = Allocate(device_.ops->packed_bytes(*device_.context, shape));
  if (packed == nullptr) return {};
  status_ = device_.ops->pack(*device_.context, {rows, shape, packed});
  return {shape, packed};
}

Linear WeightLoader::LoadLinear(const std::vector<LinearPart>& parts,
                                const std::vector<int64_t>& shape_tail, bool has_bias) {
  int64_t depth = 1;
  for (const int64_t extent : shape_tail) depth *= extent;
  std::vector<WeightRows> rows;
  std::vector<float> bias;
  for (const LinearPart& part : parts) {
    std::vector<int64_t> shape = {part.columns};
    shape.insert(shape.end(), shape_tail.begin(), shape_tail.end());
    const TensorView weight = Find(part.name + ".weight", shape);
    rows.push_back({weight.data, weight.dtype, part.columns});
    if (!has_bias) continue;
    const std::vector<float> values = ReadFloats(part.name + ".bias", {part.columns});
    bias.insert(bias.end(), values.begin(), values.end());
  }
  if (!status_.ok()) return {};
  return {Pack(rows, depth), has_bias ? AddFloats(bias) : nullptr};
}

const float* WeightLoader::AddFloats(const std::vector<float>& values) {
  const TensorView source = {values.data(), Dtype::kFloat32, {static_cast<int64_t>(values.size())}};
  return static_cast<const float*>(Upload(source, Dtype::kFloat32));
}

Linear WeightLoader::AddLinear(const std::vector<float>& weight, int64_t depth,
                               const std::vector<float>& bias) {
  if (!status_.ok()) return {};
  const int64_t columns = static_cast<int64_t>(weight.size()) / depth;
  CHECK(columns * depth == static_cast<int64_t>(weight.size()));
  return {Pack({{weight.data(), Dtype::kFloat32, columns}}, depth),
          bias.empty() ? nullptr : AddFloats(bias)};
}

std::vector<float> WeightLoader::ReadFloats(const std::string& name,
                                            const std::vector<int64_t>& shape) {
  const TensorView tensor = Find(name, shape);
  if (!status_.ok()) return {};
  std::vector<float> values(static_cast<size_t>(tensor.NumElements()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = ReadValue(tensor, static_cast<int64_t>(i));
  }
  return values;
}

}  // namespace autoglm
