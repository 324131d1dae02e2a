#include "model/weights/weight_loader.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/float_bits.h"
#include "device/memory.h"
#include "model/checkpoint/quantize_options.h"

namespace autoglm {
namespace {

// Numbers of a table that are converted before their pages are given back.
constexpr int64_t kPieceNumbers = int64_t{16} << 20;

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

// Returns the parts of files that hold the requested rows.
std::vector<FileRange> RangesOf(const TensorSource& source, const HostWeightRequest& request) {
  std::vector<FileRange> ranges;
  for (const StoredTensor* tensor : TensorsOf(source, request)) {
    if (!tensor->is_mapped) continue;
    FileRange range = {tensor->data, tensor->bytes};
    // Layouts that are transposed have some of each row everywhere.
    if (request.rows.has_value() && tensor->shape[0] == request.shape[0]) {
      const size_t row_bytes = tensor->bytes / static_cast<size_t>(tensor->shape[0]);
      range = {static_cast<const char*>(tensor->data) +
                   static_cast<size_t>(request.rows->first) * row_bytes,
               static_cast<size_t>(request.rows->count) * row_bytes};
    }
    ranges.push_back(range);
  }
  return ranges;
}

}  // namespace

bool WeightLoader::IsCancelled() {
  if (options_.cancelled == nullptr || !options_.cancelled->load(std::memory_order_relaxed)) {
    return false;
  }
  status_ = Status(Reason::kEngineClosed, "closed while it was loading");
  return true;
}

template <typename Fill>
const void* WeightLoader::Place(const WeightEntry& entry, const Fill& fill) {
  if (!status_.ok()) return nullptr;
  const Result<WeightMemory::Place> place = memory_.Take(entry);
  if (!place.ok()) {
    status_ = place.status();
    return nullptr;
  }
  if (!place.value().is_filled) {
    fill(place.value().data);
    if (options_.progress != nullptr) options_.progress->done_bytes += entry.bytes;
  }
  return place.value().data;
}

TensorView WeightLoader::Find(const std::string& name, const std::vector<int64_t>& shape) {
  if (!status_.ok() || IsCancelled()) return {};
  Result<TensorView> tensor = source_.Find(options_.part, name, shape);
  if (tensor.ok()) return std::move(tensor.value());
  status_ = tensor.status();
  return {};
}

const void* WeightLoader::Upload(const TensorView& source, Dtype dtype) {
  if (!status_.ok()) return nullptr;
  const size_t bytes = static_cast<size_t>(source.NumElements()) * DtypeBytes(source.dtype);
  if (source.is_mapped) memory_.WillRead({source.data, bytes});
  return Place(PlainEntry(dtype, source.NumElements()),
               [&](void* target) { UploadPieces(source, dtype, target); });
}

void WeightLoader::UploadPieces(const TensorView& source, Dtype dtype, void* target) {
  const int64_t total = source.NumElements();
  for (int64_t begin = 0; begin < total; begin += kPieceNumbers) {
    const int64_t count = std::min(kPieceNumbers, total - begin);
    const char* data = static_cast<const char*>(source.data) + begin * DtypeBytes(source.dtype);
    void* const piece = static_cast<char*>(target) + begin * DtypeBytes(dtype);
    device_.ops->upload(*device_.context, {{data, source.dtype, {count}}, dtype, piece});
    if (source.is_mapped) DropFilePages(data, count * DtypeBytes(source.dtype));
  }
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

EmbeddingTable WeightLoader::LoadTableRows(const std::string& name, int64_t num_rows,
                                           int64_t columns, const Slice& rows) {
  const Dtype dtype = UnpackedDtype(options_.format);
  TensorView source = Find(name, {num_rows, columns});
  if (!status_.ok()) return {};
  const size_t row_bytes = static_cast<size_t>(columns) * DtypeBytes(source.dtype);
  source.data = static_cast<const char*>(source.data) + static_cast<size_t>(rows.first) * row_bytes;
  source.shape[0] = rows.count;
  if (source.is_mapped) {
    memory_.WillRead({source.data, static_cast<size_t>(rows.count) * row_bytes});
  }
  const int64_t count = rows.count * columns;
  const void* const table = Place(PlainEntry(dtype, count + columns), [&](void* target) {
    UploadPieces(source, dtype, target);
    const std::vector<float> zeros(static_cast<size_t>(columns));
    device_.ops->upload(*device_.context,
                        {{zeros.data(), Dtype::kFloat32, {columns}},
                         dtype,
                         static_cast<char*>(target) + count * DtypeBytes(dtype)});
  });
  return {table, dtype, rows.count + 1, columns};
}

HostWeight WeightLoader::Describe(const HostWeightRequest& request) {
  if (!status_.ok() || IsCancelled()) return {};
  Result<HostWeight> weight = DescribeHostWeight(source_, options_.quantization, request);
  if (weight.ok()) return std::move(weight.value());
  status_ = weight.status();
  return {};
}

void WeightLoader::WillRead(const HostWeightRequest& request) {
  for (const FileRange& range : RangesOf(source_, request)) memory_.WillRead(range);
}

void WeightLoader::DropPages(const HostWeightRequest& request) {
  for (const FileRange& range : RangesOf(source_, request)) DropFilePages(range.data, range.bytes);
}

template <typename Fill>
PackedMatrix WeightLoader::Pack(const WeightShape& shape, const Fill& fill) {
  if (!status_.ok()) return {};
  const WeightFormat& format = shape.format;
  if (format.type == WeightType::kInt8 && format.quantizes_input &&
      shape.depth > kMaxQuantizedDepth) {
    status_ = Unsupported("int8 is not supported for products over " +
                          std::to_string(shape.depth) + " inputs; at most " +
                          std::to_string(kMaxQuantizedDepth));
    return {};
  }
  status_ = device_.ops->prepare_gemm(*device_.context, shape);
  const size_t bytes = device_.ops->packed_bytes(*device_.context, shape);
  return {shape, Place({.is_packed = true, .shape = shape, .bytes = bytes}, fill)};
}

void WeightLoader::PackRows(const std::vector<WeightRows>& rows, const WeightShape& shape,
                            void* packed) {
  status_ = device_.ops->pack(*device_.context, {rows, shape, packed});
}

WeightFormat WeightLoader::DescribeParts(const std::vector<HostWeightRequest>& requests,
                                         bool is_matrix, std::vector<HostWeight>& weights) {
  for (const HostWeightRequest& request : requests) weights.push_back(Describe(request));
  if (!status_.ok()) return {};
  const WeightFormat& floats = is_matrix ? options_.linear_format : options_.format;
  return CommonFormat(weights).value_or(floats);
}

Linear WeightLoader::LoadLinear(const std::vector<LinearPart>& parts,
                                const std::vector<int64_t>& shape_tail, bool has_bias) {
  std::vector<HostWeightRequest> requests;
  std::vector<float> bias;
  for (const LinearPart& part : parts) {
    std::vector<int64_t> stored = {part.columns};
    stored.insert(stored.end(), shape_tail.begin(), shape_tail.end());
    requests.push_back({options_.part, part.name, stored, part.taken});
    if (!has_bias) continue;
    const std::vector<float> values = ReadBias(part);
    bias.insert(bias.end(), values.begin(), values.end());
  }
  const PackedMatrix packed = LoadMatrix(requests, shape_tail.size() == 1);
  return {packed, has_bias ? AddFloats(bias) : nullptr};
}

Linear WeightLoader::LoadInputs(const LinearPart& part, int64_t depth, const Slice& inputs) {
  return {LoadMatrix({{options_.part, part.name, {part.columns, depth}, part.taken, inputs}}, true),
          nullptr};
}

std::vector<float> WeightLoader::ReadBias(const LinearPart& part) {
  std::vector<float> values = ReadFloats(part.name + ".bias", {part.columns});
  if (!part.taken.has_value() || values.empty()) return values;
  const auto first = values.begin() + part.taken->first;
  return std::vector<float>(first, first + part.taken->count);
}

PackedMatrix WeightLoader::LoadMatrix(const std::vector<HostWeightRequest>& requests,
                                      bool is_matrix) {
  WeightShape shape = {.columns = 0, .depth = 1};
  for (const HostWeightRequest& request : requests) {
    shape.columns += request.rows.has_value() ? request.rows->count : request.shape[0];
  }
  const std::vector<int64_t>& stored = requests[0].shape;
  for (size_t i = 1; i < stored.size(); ++i) shape.depth *= stored[i];
  if (requests[0].inputs.has_value()) shape.depth = requests[0].inputs->count;
  // A weight that is there already is as it was described when it was written.
  std::vector<HostWeight> weights;
  const WeightEntry* const there = memory_.Next();
  shape.format =
      there != nullptr ? there->shape.format : DescribeParts(requests, is_matrix, weights);
  if (!status_.ok()) return {};
  for (const HostWeightRequest& request : requests) WillRead(request);
  return Pack(shape, [&](void* target) {
    for (size_t i = 0; i < weights.size(); ++i) {
      ReadHostWeight(source_, requests[i], weights[i], device_.context->threads());
    }
    MakeFormatsEqual(weights, device_.context->threads());
    std::vector<WeightRows> rows;
    for (const HostWeight& weight : weights) rows.push_back(weight.Rows());
    PackRows(rows, shape, target);
    for (const HostWeightRequest& request : requests) DropPages(request);
  });
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
  const WeightShape shape = {.format = options_.format, .columns = columns, .depth = depth};
  const PackedMatrix packed = Pack(shape, [&](void* target) {
    PackRows({{weight.data(), Dtype::kFloat32, columns}}, shape, target);
  });
  return {packed, bias.empty() ? nullptr : AddFloats(bias)};
}

std::vector<float> WeightLoader::ReadFloats(const std::string& name,
                                            const std::vector<int64_t>& shape) {
  constexpr std::string_view kWeight = ".weight";
  HostWeight weight;
  TensorView tensor;
  if (name.ends_with(kWeight)) {
    const HostWeightRequest request = {options_.part, name.substr(0, name.size() - kWeight.size()),
                                       shape};
    weight = Describe(request);
    if (status_.ok() && memory_.NeedsNumbers()) {
      ReadHostWeight(source_, request, weight, device_.context->threads());
      Dequantize(weight, device_.context->threads());
    }
    tensor = weight.floats;
  } else {
    tensor = Find(name, shape);
  }
  if (!status_.ok()) return {};
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  std::vector<float> values(static_cast<size_t>(count));
  if (!memory_.NeedsNumbers()) return values;
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = ReadValue(tensor, static_cast<int64_t>(i));
  }
  if (tensor.is_mapped) DropFilePages(tensor.data, values.size() * DtypeBytes(tensor.dtype));
  return values;
}

std::string LoadingName(const WeightLoader::Options& options) {
  return std::string("tables ") + WeightFormatName(options.format) + ", matrices " +
         FormatName(options.linear_format) +
         (options.quantization.quantizes_input ? ", inputs as the checkpoint says" : "");
}

}  // namespace autoglm
