#ifndef AUTOGLM_MODEL_DECODER_H_
#define AUTOGLM_MODEL_DECODER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/group/device_group.h"
#include "kernels/group/rank_threads.h"
#include "kernels/ops.h"
#include "model/decoder/decoder_rank.h"
#include "model/decoder/decoder_source.h"
#include "model/decoder/step_plan.h"

namespace autoglm {

// A GLM-4 decoder on one device, or spread over the ranks of a group, each with a thread of its own.
// The thread that loads the decoder is that of rank 0, and the only one that uses the decoder.
class Decoder {
 public:
  static Result<std::unique_ptr<Decoder>> Load(const DecoderOptions& options,
                                               DeviceOpener open_device);
  ~Decoder();

  // Runs one step, whose plan may take tokens from the step before, on all ranks. A refused plan leaves
  // the cache as it was. If a rank fails, the others leave the step, and the refusal names its device.
  Status Execute(StepPlan plan, StepResult& result);

  // Opens the row pool of an encoder's process on all ranks, or on none, and returns its number.
  Result<int64_t> OpenRowPool(const MemoryHandle& handle, size_t bytes);
  void CloseRowPool(int64_t source);
  // Copies rows from an open pool to the pools of all ranks, and waits for that.
  Status CopyRows(const RowCopy& copy);

  // Runs a whole prompt in a cache of its own.
  Status Trace(const TraceRequest& request, DecoderTrace& trace);

  const DecoderDescription& description() const { return description_; }

 private:
  explicit Decoder(const std::vector<DeviceId>& devices);

  // Calls task(rank) -> Status on the thread of each rank; returns the first refusal that is a rank's
  // own, with its device, or the one that all agree on.
  template <typename Task>
  Status OnRanks(const Task& task);
  // Waits until all devices have done what they were given.
  void Finish();
  Status Outcome(const std::vector<Status>& outcomes) const;
  void Describe();

  const std::vector<DeviceId> devices_;
  DeviceGroup group_;
  std::vector<GroupRank> places_;  // by rank
  RankThreads threads_;
  std::vector<std::unique_ptr<DecoderRank>> ranks_;
  std::vector<uint32_t> chosen_;  // tokens of the outputs of the last step; none if it failed
  DecoderDescription description_ = {};
  int64_t num_opened_pools_ = 0;  // so far
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_DECODER_H_
