#include "model/checkpoint/checkpoint.h"

#include <cstring>

#include "doctest/doctest.h"
#include "temporary_directory.h"

namespace autoglm {
namespace {

// Returns a file that holds one F32 tensor [1] of each name.
std::string FileWith(const std::vector<std::string>& names) {
  std::string header = "{";
  for (size_t i = 0; i < names.size(); ++i) {
    header += (i == 0 ? "\"" : ",\"") + names[i] +
              R"(":{"dtype":"F32","shape":[1],"data_offsets":[)" + std::to_string(4 * i) + "," +
              std::to_string(4 * i + 4) + "]}";
  }
  header += "}";
  while (header.size() % 8 != 0) header += ' ';
  const uint64_t length = header.size();
  std::string content(8, '\0');
  std::memcpy(content.data(), &length, 8);
  return content + header + std::string(4 * names.size(), '\0');
}

void CheckRefusal(const Status& status, const std::vector<std::string>& parts) {
  CHECK_EQ(status.reason(), Reason::kInvalidCheckpoint);
  for (const std::string& part : parts) {
    CHECK_MESSAGE(status.message().find(part) != std::string::npos, status.message());
  }
}

TEST_CASE("Tensor names lose the prefixes of every generation of converters") {
  using Plain = std::pair<ModelPart, std::string>;
  CHECK_EQ(PlainName("model.language_model.norm.weight"), Plain{ModelPart::kText, "norm.weight"});
  CHECK_EQ(PlainName("language_model.model.norm.weight"), Plain{ModelPart::kText, "norm.weight"});
  CHECK_EQ(PlainName("model.norm.weight"), Plain{ModelPart::kText, "norm.weight"});
  CHECK_EQ(PlainName("lm_head.weight"), Plain{ModelPart::kText, "lm_head.weight"});
  CHECK_EQ(PlainName("model.visual.merger.proj.weight"),
           Plain{ModelPart::kVision, "merger.proj.weight"});
  CHECK_EQ(PlainName("visual.merger.proj.weight"), Plain{ModelPart::kVision, "merger.proj.weight"});
  CHECK_EQ(PlainName("model.audio_projector.gate.weight"),
           Plain{ModelPart::kSpeechProjector, "gate.weight"});
}

TEST_CASE("A single file is a checkpoint") {
  const TemporaryDirectory directory;
  directory.Write("model.safetensors", FileWith({"model.norm.weight"}));

  const Result<Checkpoint> checkpoint = Checkpoint::Open(directory.path());

  REQUIRE(checkpoint.ok());
  CHECK(checkpoint.value().HasPart(ModelPart::kText));
  CHECK_FALSE(checkpoint.value().HasPart(ModelPart::kVision));
  CHECK(checkpoint.value().Find(ModelPart::kText, "norm.weight", {1}).ok());
}

TEST_CASE("Shards are one checkpoint, found through their index") {
  const TemporaryDirectory directory;
  directory.Write("one.safetensors", FileWith({"model.a"}));
  directory.Write("two.safetensors", FileWith({"visual.b"}));
  directory.Write("model.safetensors.index.json",
                  R"({"weight_map":{"model.a":"one.safetensors","visual.b":"two.safetensors"}})");

  const Result<Checkpoint> checkpoint = Checkpoint::Open(directory.path());

  REQUIRE(checkpoint.ok());
  CHECK(checkpoint.value().Has(ModelPart::kText, "a"));
  CHECK(checkpoint.value().Has(ModelPart::kVision, "b"));
}

TEST_CASE("A shard that is missing is named") {
  const TemporaryDirectory directory;
  directory.Write("model.safetensors.index.json",
                  R"({"weight_map":{"model.a":"one.safetensors"}})");

  CheckRefusal(Checkpoint::Open(directory.path()).status(), {"one.safetensors", "No such file"});
}

TEST_CASE("A tensor of the index that its shard does not hold is named") {
  const TemporaryDirectory directory;
  directory.Write("one.safetensors", FileWith({"model.a"}));
  directory.Write("model.safetensors.index.json",
                  R"({"weight_map":{"model.a":"one.safetensors","model.b":"one.safetensors"}})");

  CheckRefusal(Checkpoint::Open(directory.path()).status(),
               {"one.safetensors", "tensor \"model.b\" of the index is missing"});
}

TEST_CASE("An index that is damaged, or leaves the folder, is refused") {
  for (const char* index : {"{", "[]", "{}", R"({"weight_map":{}})", R"({"weight_map":{"a":1}})",
                            R"({"weight_map":{"a":"../b"}})"}) {
    CAPTURE(index);
    const TemporaryDirectory directory;
    directory.Write("model.safetensors.index.json", index);

    CheckRefusal(Checkpoint::Open(directory.path()).status(), {"model.safetensors.index.json"});
  }
}

TEST_CASE("A folder without weights says what it should hold") {
  const TemporaryDirectory directory;

  CheckRefusal(Checkpoint::Open(directory.path()).status(),
               {directory.path(), "model.safetensors", "model.safetensors.index.json"});
}

TEST_CASE("Two tensors that stand for the same are refused") {
  const TemporaryDirectory directory;
  directory.Write("model.safetensors", FileWith({"model.a", "model.language_model.a"}));

  CheckRefusal(Checkpoint::Open(directory.path()).status(), {"stands for the same", "model.a"});
}

TEST_CASE("A tensor that is missing or of another shape is refused with expected and found") {
  const TemporaryDirectory directory;
  directory.Write("model.safetensors", FileWith({"model.a"}));
  const Result<Checkpoint> checkpoint = Checkpoint::Open(directory.path());
  REQUIRE(checkpoint.ok());

  CheckRefusal(checkpoint.value().Find(ModelPart::kText, "b", {3, 4}).status(),
               {"\"b\" is missing", "[3, 4]"});
  CheckRefusal(checkpoint.value().Find(ModelPart::kText, "a", {2}).status(),
               {"model.safetensors", "\"model.a\"", "expected shape [2], found [1]"});
}

TEST_CASE("A tensor of integers is refused as a weight") {
  const TemporaryDirectory directory;
  std::string content = FileWith({"model.a"});
  content.replace(content.find("F32"), 3, "I32");
  directory.Write("model.safetensors", content);
  const Result<Checkpoint> checkpoint = Checkpoint::Open(directory.path());
  REQUIRE(checkpoint.ok());

  CheckRefusal(checkpoint.value().Find(ModelPart::kText, "a", {1}).status(),
               {"expected dtype F32, BF16 or F16, found I32"});
}

}  // namespace
}  // namespace autoglm
