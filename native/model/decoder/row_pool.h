#ifndef AUTOGLM_MODEL_ROW_POOL_H_
#define AUTOGLM_MODEL_ROW_POOL_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/tensor_view.h"
#include "device/memory.h"
#include "kernels/ops.h"

namespace autoglm {

// Rows of an item from the row pool of an encoder to that of a decoder.
struct RowCopy {
  int64_t source = 0;  // number of the encoder's pool
  size_t source_offset = 0;
  size_t target_offset = 0;
  size_t bytes = 0;
};

// Memory of a rank's device for rows of media, float32 [rows, hidden_size] each, and the pools of
// encoders' processes that they come from. Who uses the decoder decides which bytes are whose: all
// that is asked for here runs in that order, between steps.
class RowPool {
 public:
  // The device outlives the pool.
  explicit RowPool(Device& device) : device_(device) {}

  // Takes the memory; refuses on a device that has the memory of the host.
  Status Allocate(size_t bytes);
  size_t bytes() const { return bytes_; }
  // Returns names of the devices whose pools can be opened; none without a pool.
  std::vector<std::string> ReachableDevices() const;

  // Opens an encoder's pool of so many bytes under a number that is free.
  Status Open(int64_t source, const MemoryHandle& handle, size_t bytes);
  // Closes it; without effect under a number that is free.
  void Close(int64_t source);
  // Copies rows, and waits for that, so that their encoder may put others in their place. Refuses bytes
  // that are no part of a pool.
  Status Copy(const RowCopy& copy);

  // Copies rows to an operation's input.
  void Read(size_t offset, const MatrixView& rows);

 private:
  Device& device_;
  DeviceBuffer memory_;
  size_t bytes_ = 0;
  std::map<int64_t, DeviceBuffer> sources_;  // by number
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_ROW_POOL_H_
