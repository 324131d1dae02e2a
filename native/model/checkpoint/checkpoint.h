#ifndef AUTOGLM_MODEL_CHECKPOINT_H_
#define AUTOGLM_MODEL_CHECKPOINT_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/tensor_view.h"
#include "model/checkpoint/safetensors.h"

namespace autoglm {

// Which module of a checkpoint a tensor belongs to, told by the prefix of its name.
enum class ModelPart { kText, kVision, kVisionProjector, kSpeech, kSpeechProjector };

// Where weights come from: a checkpoint, or numbers made up for a bench.
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  // The tensor of this name (without its part's prefix), a float type of this very shape.
  virtual Result<TensorView> Find(ModelPart part, const std::string& name,
                                  const std::vector<int64_t>& shape) const = 0;
};

// All tensors of a model directory: `model.safetensors`, or the shards that
// `model.safetensors.index.json` lists. Tensors point into mapped files and live as long as this.
class Checkpoint final : public TensorSource {
 public:
  static Result<Checkpoint> Open(const std::string& directory);

  Result<TensorView> Find(ModelPart part, const std::string& name,
                          const std::vector<int64_t>& shape) const override;

  bool Has(ModelPart part, const std::string& name) const;
  // Are there tensors of this part? A checkpoint of a bare encoder has no prefixes: all its tensors
  // count as text.
  bool HasPart(ModelPart part) const;

 private:
  struct Entry {
    const StoredTensor* tensor;
    const SafetensorsFile* file;
  };

  Status Add(SafetensorsFile file);
  Status AddTensor(const StoredTensor& tensor, const SafetensorsFile& file);
  Status AddShards(const std::string& directory);

  std::string directory_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::pair<ModelPart, std::string>, Entry> tensors_;
};

// Splits a stored name such as "model.language_model.norm.weight" into part and plain name.
std::pair<ModelPart, std::string> PlainName(const std::string& stored_name);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_CHECKPOINT_H_
