#ifndef AUTOGLM_MODEL_ROW_CHUNKS_H_
#define AUTOGLM_MODEL_ROW_CHUNKS_H_

#include <algorithm>
#include <cstdint>

#include "model/encoder/tower.h"

namespace autoglm {

// Rows that pass through the products of a layer together: enough to use every weight often, few
// enough for a chunk to end soon after a cancel.
inline constexpr int64_t kRowsPerChunk = 1024;

// Calls body(begin, count) for consecutive chunks of 0..rows - 1 until they or the batch are done.
template <typename Body>
TowerOutcome ForChunks(const TowerBatch& batch, int64_t rows, const Body& body) {
  for (int64_t begin = 0; begin < rows; begin += kRowsPerChunk) {
    if (batch.IsCancelled()) return TowerOutcome::kCancelled;
    body(begin, std::min(kRowsPerChunk, rows - begin));
  }
  return TowerOutcome::kDone;
}

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_ROW_CHUNKS_H_
