#include "model/checkpoint/host_weight.h"

#include <map>
#include <string>
#include <vector>

#include "doctest/doctest.h"

namespace autoglm {
namespace {

constexpr int64_t kRows = 12;
constexpr int64_t kDepth = 384;

constexpr int64_t kBlockRows = 300;

// A matrix X of int4 in groups of 128 with zero points, as compressed-tensors stores it, a matrix F of
// floats, and a larger matrix B of FP8 in blocks of 128 by 128.
class Source final : public TensorSource {
 public:
  Source() {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] = static_cast<uint32_t>(i) * 2654435761u;
    for (size_t i = 0; i < scales_.size(); ++i) scales_[i] = static_cast<float>(i + 1);
    for (size_t i = 0; i < zeros_.size(); ++i) zeros_[i] = static_cast<uint32_t>(i) * 40503u;
    for (size_t i = 0; i < floats_.size(); ++i) floats_[i] = static_cast<float>(i);
    Add("X.weight_packed", "I32", {kRows, kDepth / 8}, words_.data());
    Add("X.weight_scale", "F32", {kRows, 3}, scales_.data());
    Add("X.weight_zero_point", "I32", {2, 3}, zeros_.data());
    Add("F.weight", "F32", {kRows, kDepth}, floats_.data());
    for (size_t i = 0; i < fp8_.size(); ++i) fp8_[i] = static_cast<uint8_t>(i * 40503u >> 7 & 0xf7u);
    for (size_t i = 0; i < fp8_scales_.size(); ++i) fp8_scales_[i] = static_cast<float>(i + 1);
    Add("B.weight", "F8_E4M3", {kBlockRows, kDepth}, fp8_.data());
    Add("B.weight_scale_inv", "F32", {3, 3}, fp8_scales_.data());
  }

  Result<TensorView> Find(ModelPart, const std::string& name,
                          const std::vector<int64_t>& shape) const override {
    return TensorView{tensors_.at(name).data, Dtype::kFloat32, shape};
  }
  const StoredTensor* FindStored(ModelPart, const std::string& name) const override {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
  }
  std::string WhereStored(ModelPart, const std::string& name) const override { return name; }

 private:
  void Add(const char* name, const char* dtype, const std::vector<int64_t>& shape,
           const void* data) {
    StoredTensor& tensor = tensors_[name];
    tensor.name = name;
    tensor.dtype = dtype;
    tensor.shape = shape;
    tensor.data = data;
  }

  std::vector<uint32_t> words_ = std::vector<uint32_t>(kRows * kDepth / 8);
  std::vector<float> scales_ = std::vector<float>(kRows * 3);
  std::vector<uint32_t> zeros_ = std::vector<uint32_t>(2 * 3);
  std::vector<float> floats_ = std::vector<float>(kRows * kDepth);
  std::vector<uint8_t> fp8_ = std::vector<uint8_t>(kBlockRows * kDepth);
  std::vector<float> fp8_scales_ = std::vector<float>(3 * 3);
  std::map<std::string, StoredTensor> tensors_;
};

// Reads a part of a matrix as floats, [rows, depth].
std::vector<float> ReadPart(const Source& source, const std::string& name,
                            const std::optional<Slice>& rows, const std::optional<Slice>& inputs) {
  QuantizationConfig config;
  config.method = QuantizationConfig::Method::kCompressedTensors;
  const HostWeightRequest request = {ModelPart::kText, name, {kRows, kDepth}, rows, inputs};
  Result<HostWeight> weight = DescribeHostWeight(source, config, request);
  REQUIRE_MESSAGE(weight.ok(), weight.status().message());
  ThreadPool threads({}, 1);
  ReadHostWeight(source, request, weight.value(), threads);
  Dequantize(weight.value(), threads);
  const float* const data = static_cast<const float*>(weight.value().floats.data);
  return std::vector<float>(data, data + weight.value().rows * weight.value().depth);
}

TEST_CASE("A part of a matrix has the numbers of the whole, rows and inputs apart and together") {
  const Source source;
  for (const std::string name : {"X", "F"}) {
    const std::vector<float> whole = ReadPart(source, name, std::nullopt, std::nullopt);
    for (const Slice& rows : {Slice{0, kRows}, Slice{0, 5}, Slice{5, 7}}) {
      for (const Slice& inputs : {Slice{0, kDepth}, Slice{0, 128}, Slice{128, 256}}) {
        CAPTURE(name);
        CAPTURE(rows.first);
        CAPTURE(inputs.first);
        std::vector<float> expected;
        for (int64_t row = rows.first; row < rows.first + rows.count; ++row) {
          const auto first = whole.begin() + row * kDepth + inputs.first;
          expected.insert(expected.end(), first, first + inputs.count);
        }

        CHECK_EQ(ReadPart(source, name, rows, inputs), expected);
      }
    }
  }
}

TEST_CASE("FP8 in blocks that is kept stands for the floats that it would be widened to") {
  const Source source;
  ThreadPool threads({}, 1);
  for (const Slice& rows : {Slice{0, kBlockRows}, Slice{100, 150}}) {
    for (const Slice& inputs : {Slice{0, kDepth}, Slice{128, 256}}) {
      CAPTURE(rows.first);
      CAPTURE(inputs.first);
      const HostWeightRequest request = {
          ModelPart::kText, "B", {kBlockRows, kDepth}, rows, inputs};
      std::vector<float> floats[2];
      for (const bool keeps_fp8 : {false, true}) {
        QuantizationConfig config;
        config.method = QuantizationConfig::Method::kFp8;
        config.keeps_fp8 = keeps_fp8;
        Result<HostWeight> weight = DescribeHostWeight(source, config, request);
        REQUIRE_MESSAGE(weight.ok(), weight.status().message());
        CHECK_EQ(weight.value().is_scaled, keeps_fp8);
        if (keeps_fp8) CHECK_EQ(weight.value().format.group_size, 128);
        ReadHostWeight(source, request, weight.value(), threads);
        Dequantize(weight.value(), threads);
        const float* const data = static_cast<const float*>(weight.value().floats.data);
        floats[keeps_fp8 ? 1 : 0].assign(data, data + rows.count * inputs.count);
      }

      CHECK(floats[1] == floats[0]);
    }
  }
}

TEST_CASE("A part that would cut a group of integers is refused with the numbers that cut none") {
  const Source source;
  QuantizationConfig config;
  config.method = QuantizationConfig::Method::kCompressedTensors;
  const auto refusal = [&](const Slice& inputs) {
    const Result<HostWeight> weight = DescribeHostWeight(
        source, config, {ModelPart::kText, "X", {kRows, kDepth}, std::nullopt, inputs});
    return weight.ok() ? Status() : weight.status();
  };

  const Status first = refusal({0, 192});
  CHECK_EQ(first.reason(), Reason::kUnsupported);
  CHECK_NE(first.message().find("X.weight_packed: its 384 inputs in groups of 128"),
           std::string::npos);
  CHECK_NE(first.message().find("tensor-parallel-size can be 1, 3"), std::string::npos);
  CHECK_FALSE(refusal({192, 192}).ok());
  CHECK(refusal({128, 128}).ok());
}

}  // namespace
}  // namespace autoglm
