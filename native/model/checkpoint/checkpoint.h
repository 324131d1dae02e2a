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

// Module of a checkpoint to which a tensor belongs. The prefix of the tensor's name tells it.
enum class ModelPart { kText, kVision, kVisionProjector, kSpeech, kSpeechProjector };

// Source of weights: a checkpoint, or random numbers for a bench.
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  // Returns the tensor of this name (without its part's prefix). Refuses one of another shape, or
  // of a type that is no float.
  virtual Result<TensorView> Find(ModelPart part, const std::string& name,
                                  const std::vector<int64_t>& shape) const = 0;
  // Returns the tensor of this name, of any shape and type; null if there is none.
  virtual const StoredTensor* FindStored(ModelPart part, const std::string& name) const = 0;
  // Returns the file and the name of a tensor, for messages.
  virtual std::string WhereStored(ModelPart part, const std::string& name) const = 0;
};

// All tensors of a model directory: `model.safetensors`, or the shards that
// `model.safetensors.index.json` lists. Tensors point into mapped files and live as long as this.
class Checkpoint final : public TensorSource {
 public:
  static Result<Checkpoint> Open(const std::string& directory);

  Result<TensorView> Find(ModelPart part, const std::string& name,
                          const std::vector<int64_t>& shape) const override;
  const StoredTensor* FindStored(ModelPart part, const std::string& name) const override;
  std::string WhereStored(ModelPart part, const std::string& name) const override;

  // Returns what tells this content of the directory's files from any other: the weights, and
  // config.json, which says what they mean.
  std::string Version() const;

  bool Has(ModelPart part, const std::string& name) const;
  // Returns true if there are tensors of this part. A checkpoint of a bare encoder has no prefixes:
  // all its tensors count as text.
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
