#ifndef AUTOGLM_MODEL_WEIGHT_MEMORY_H_
#define AUTOGLM_MODEL_WEIGHT_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"
#include "kernels/ops.h"

namespace autoglm {

// One weight of a model in memory. A model loads its weights in one order, so that the entry's place
// in the list says which it is.
struct WeightEntry {
  bool is_packed = false;  // a matrix as its device packs it; otherwise a vector or table
  WeightShape shape;       // a vector or table has plain numbers and the depth 1
  size_t bytes = 0;

  bool operator==(const WeightEntry& other) const;
};

// Makes the entry of `count` plain numbers.
WeightEntry PlainEntry(Dtype dtype, int64_t count);

// Part of a file that a load will read.
struct FileRange {
  const void* data;  // mapped
  size_t bytes;
};

// Where the weights of a model go: a loader takes a place for one after another.
class WeightMemory {
 public:
  struct Place {
    void* data;      // aligned to 64 bytes
    bool is_filled;  // there is nothing to be written
  };

  virtual ~WeightMemory() = default;

  // Returns the place of the next weight.
  virtual Result<Place> Take(const WeightEntry& entry) = 0;
  // Returns what the next weight must be, where it is there already; null if the loader decides.
  virtual const WeightEntry* Next() const { return nullptr; }
  // Is told before a loader reads a range.
  virtual void WillRead(const FileRange&) {}
  // Returns false if the loader is to read no numbers: only the shapes matter.
  virtual bool NeedsNumbers() const { return true; }

  // Returns the bytes of all weights taken.
  size_t bytes() const { return bytes_; }

 protected:
  void Count(const WeightEntry& entry);
  void ResetCount() { bytes_ = 0; }

 private:
  size_t bytes_ = 0;
};

// Counts what a load will take and read, and holds nothing.
class PlannedWeights final : public WeightMemory {
 public:
  Result<Place> Take(const WeightEntry& entry) override;
  void WillRead(const FileRange& range) override { ranges_.push_back(range); }
  bool NeedsNumbers() const override { return false; }

  size_t num_weights() const { return num_weights_; }
  const std::vector<FileRange>& ranges() const { return ranges_; }

 private:
  size_t num_weights_ = 0;
  std::vector<FileRange> ranges_;
};

class ReadAhead;

// A weight where it lies.
struct HeldWeight {
  WeightEntry entry;
  const void* data;
};

// Device memory that a load fills: many weights in few allocations, freed together.
class AllocatedWeights final : public WeightMemory {
 public:
  // Has the files of `plan` read ahead of the loader.
  AllocatedWeights(const Device& device, const PlannedWeights& plan);
  ~AllocatedWeights() override;

  Result<Place> Take(const WeightEntry& entry) override;
  const WeightEntry* Next() const override;
  void WillRead(const FileRange& range) override;
  // Lets a loader take the weights again, which are filled.
  void Rewind();

  const std::vector<HeldWeight>& weights() const { return weights_; }

 private:
  const Device& device_;
  std::vector<DeviceBuffer> chunks_;
  size_t used_ = 0;  // of the last chunk
  std::vector<HeldWeight> weights_;
  size_t num_taken_ = 0;  // of weights_
  std::unique_ptr<ReadAhead> read_ahead_;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_WEIGHT_MEMORY_H_
