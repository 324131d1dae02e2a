#include "model/checkpoint/host_weight.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "model/checkpoint/quantized_layouts.h"
#include "model/checkpoint/quantized_words.h"

namespace autoglm {
namespace {

bool AreEqual(const WeightFormat& a, const WeightFormat& b) {
  return a.type == b.type && a.group_size == b.group_size && a.quantizes_input == b.quantizes_input;
}

// Drops zero points that are all 0.
void DropZeroPoints(HostWeight& weight) {
  const auto is_zero = [](int8_t zero) { return zero == 0; };
  if (!std::all_of(weight.zero_points.begin(), weight.zero_points.end(), is_zero)) return;
  weight.zero_points.clear();
  weight.format.has_zero_points = false;
}

// Refuses integers with which the kernels cannot multiply.
Status CheckIntegers(const HostWeight& weight, const std::string& where) {
  const WeightFormat& format = weight.format;
  if (!format.quantizes_input || format.type == WeightType::kFp8) return Status();
  if (format.type != WeightType::kInt8 || format.group_size != 0 || format.has_zero_points) {
    return Unsupported(where + ": with inputs of int8, weights of 4 bits, in groups or with zero " +
                       "points are not supported; supported: int8, symmetric, one scale a row");
  }
  if (weight.depth <= kMaxQuantizedDepth) return Status();
  return Unsupported(where + ": with inputs of int8, " + std::to_string(weight.depth) +
                     " inputs are not supported; at most " + std::to_string(kMaxQuantizedDepth));
}

// Returns the sizes of a group into which rows of `depth` inputs, in quantization groups of
// `group_size`, can be cut.
std::string WorkingSizes(int64_t depth, int64_t group_size) {
  constexpr int64_t kMaxNamed = 64;
  std::string sizes = "1";
  for (int64_t size = 2; size <= kMaxNamed; ++size) {
    if (depth % (size * group_size) == 0) sizes += ", " + std::to_string(size);
  }
  return sizes;
}

// Refuses a part of integer rows that begins or ends inside a quantization group or a stored word.
Status CheckPart(const HostWeight& weight, const std::string& where) {
  if (!weight.is_scaled || weight.HasWholeRows()) return Status();
  const StoredPlace& place = weight.place;
  const int64_t unit = std::max(weight.format.group_size, kNibblesPerWord);
  const auto is_border = [&](int64_t input) { return input == place.depth || input % unit == 0; };
  if (is_border(place.first_input) && is_border(place.first_input + weight.depth)) return Status();
  return Unsupported(where + ": its " + std::to_string(place.depth) + " inputs in groups of " +
                     std::to_string(unit) + " cannot be divided where this number of devices " +
                     "does it; tensor-parallel-size can be " + WorkingSizes(place.depth, unit));
}

// Brings the parts of rows together that lie `stride` elements after each other.
void GatherRows(HostWeight& weight, const void* first, size_t element_bytes, ThreadPool& threads) {
  const size_t row_bytes = static_cast<size_t>(weight.depth) * element_bytes;
  const size_t stride = static_cast<size_t>(weight.place.depth) * element_bytes;
  weight.gathered.resize(static_cast<size_t>(weight.rows) * row_bytes);
  threads.ParallelFor(weight.rows, [&](int64_t row) {
    const size_t i = static_cast<size_t>(row);
    std::memcpy(weight.gathered.data() + i * row_bytes,
                static_cast<const char*>(first) + i * stride, row_bytes);
  });
}

}  // namespace

WeightRows HostWeight::Rows() const {
  if (!is_scaled) return {floats.data, floats.dtype, rows, {}, floats.is_mapped};
  return {nullptr, Dtype::kFloat32, rows,
          {values, scales.data(), zero_points.empty() ? nullptr : zero_points.data()}};
}

Result<HostWeight> DescribeHostWeight(const TensorSource& source, const QuantizationConfig& config,
                                      const HostWeightRequest& request) {
  HostWeight weight;
  StoredPlace& place = weight.place;
  place.rows = request.shape[0];
  place.depth = 1;
  for (size_t i = 1; i < request.shape.size(); ++i) place.depth *= request.shape[i];
  const Slice rows = request.rows.value_or(Slice{0, place.rows});
  const Slice inputs = request.inputs.value_or(Slice{0, place.depth});
  CHECK(rows.first >= 0 && rows.first + rows.count <= place.rows);
  CHECK(inputs.first >= 0 && inputs.first + inputs.count <= place.depth);
  place.first_row = rows.first;
  place.first_input = inputs.first;
  weight.rows = rows.count;
  weight.depth = inputs.count;
  const QuantizedTensors tensors(source, request.part, request.name);
  if (!tensors.IsQuantized()) {
    const Result<TensorView> floats =
        source.Find(request.part, request.name + ".weight", request.shape);
    if (!floats.ok()) return floats.status();
    const TensorView& whole = floats.value();
    const int64_t first = place.first_row * place.depth + place.first_input;
    weight.floats = {static_cast<const char*>(whole.data) + first * DtypeBytes(whole.dtype),
                     whole.dtype,
                     {weight.rows, weight.depth},
                     whole.is_mapped};
    return weight;
  }
  const Status described = tensors.Describe(config, weight);
  if (!described.ok()) return described;
  const Status divided = CheckPart(weight, tensors.where());
  if (!divided.ok()) return divided;
  if (!weight.is_scaled) return weight;
  DropZeroPoints(weight);
  const Status checked = CheckIntegers(weight, tensors.where());
  if (!checked.ok()) return checked;
  return weight;
}

void ReadHostWeight(const TensorSource& source, const HostWeightRequest& request,
                    HostWeight& weight, ThreadPool& threads) {
  const QuantizedTensors tensors(source, request.part, request.name);
  if (tensors.IsQuantized()) tensors.Read(weight, threads);
  if (weight.HasWholeRows()) return;
  if (weight.values != nullptr && weight.unpacked.empty()) {
    GatherRows(weight, weight.values, sizeof(int8_t), threads);
    weight.values = reinterpret_cast<const int8_t*>(weight.gathered.data());
  } else if (!weight.is_scaled && weight.widened.empty()) {
    GatherRows(weight, weight.floats.data, DtypeBytes(weight.floats.dtype), threads);
    weight.floats.data = weight.gathered.data();
    weight.floats.is_mapped = false;
  }
}

std::vector<const StoredTensor*> TensorsOf(const TensorSource& source,
                                           const HostWeightRequest& request) {
  return QuantizedTensors(source, request.part, request.name).All();
}

void Dequantize(HostWeight& weight, ThreadPool& threads) {
  if (!weight.is_scaled) return;
  const WeightFormat& format = weight.format;
  const int64_t num_groups = NumGroups(format, weight.depth);
  const int64_t group_size = format.group_size == 0 ? weight.depth : format.group_size;
  const bool is_fp8 = format.type == WeightType::kFp8;
  const std::array<float, 256>& fp8 = Fp8Floats();
  weight.widened.resize(static_cast<size_t>(weight.rows * weight.depth));
  threads.ParallelFor(weight.rows, [&](int64_t row) {
    for (int64_t d = 0; d < weight.depth; ++d) {
      const size_t group = static_cast<size_t>(row * num_groups + d / group_size);
      const size_t index = static_cast<size_t>(row * weight.depth + d);
      const int zero = weight.zero_points.empty() ? 0 : weight.zero_points[group];
      const float number = is_fp8 ? fp8[static_cast<uint8_t>(weight.values[index])]
                                  : static_cast<float>(weight.values[index] - zero);
      weight.widened[index] = number * weight.scales[group];
    }
  });
  weight.floats = {weight.widened.data(), Dtype::kFloat32, {weight.rows, weight.depth}};
  weight.is_scaled = false;
  weight.format = {};
}

std::optional<WeightFormat> CommonFormat(const std::vector<HostWeight>& weights) {
  const HostWeight& first = weights[0];
  if (!first.is_scaled) return std::nullopt;
  WeightFormat common = first.format;
  for (const HostWeight& weight : weights) {
    if (!weight.is_scaled || !AreEqual(weight.format, first.format)) return std::nullopt;
    common.has_zero_points = common.has_zero_points || weight.format.has_zero_points;
    if (weight.format.scale_dtype != first.format.scale_dtype) {
      common.scale_dtype = Dtype::kFloat32;
    }
  }
  return common;
}

void MakeFormatsEqual(std::vector<HostWeight>& weights, ThreadPool& threads) {
  const std::optional<WeightFormat> common = CommonFormat(weights);
  for (HostWeight& weight : weights) {
    if (!common.has_value()) {
      Dequantize(weight, threads);
      continue;
    }
    if (common->has_zero_points) weight.zero_points.resize(weight.scales.size());
    weight.format = *common;
  }
}

}  // namespace autoglm
