#include "model/decoder/decoder.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <utility>

namespace autoglm {
namespace {

Status CheckOptions(const DecoderOptions& options) {
  if (options.block_size <= 0 || options.block_size > 1024) {
    return InvalidRequest("blockSize is " + std::to_string(options.block_size) +
                          ", expected 1..1024 tokens");
  }
  if (options.max_num_batched_tokens <= 0 || options.max_num_batched_tokens > (1 << 20)) {
    return InvalidRequest("maxNumBatchedTokens is " +
                          std::to_string(options.max_num_batched_tokens) +
                          ", expected 1..1048576 tokens");
  }
  if (options.activation_dtype == Dtype::kFloat16) {
    return InvalidRequest(
        "activationDtype float16 overflows in this family of models; use "
        "bfloat16 or float32");
  }
  return Status();
}

bool AreEqual(const Status& a, const Status& b) {
  return a.reason() == b.reason() && a.message() == b.message();
}

}  // namespace

Decoder::Decoder(const std::vector<DeviceId>& devices)
    : devices_(devices),
      group_(static_cast<int>(devices.size())),
      threads_(static_cast<int>(devices.size())),
      ranks_(devices.size()) {
  for (int rank = 0; rank < group_.num_ranks(); ++rank) places_.push_back({&group_, rank});
}

// A device is closed by the thread that opened it, when no other one uses its memory.
Decoder::~Decoder() {
  Finish();
  threads_.Run([this](int rank) { ranks_[static_cast<size_t>(rank)].reset(); });
}

void Decoder::Finish() {
  threads_.Run([this](int rank) {
    DecoderRank* const one = ranks_[static_cast<size_t>(rank)].get();
    if (one != nullptr) one->Finish();
  });
}

template <typename Task>
Status Decoder::OnRanks(const Task& task) {
  std::vector<Status> outcomes(ranks_.size());
  threads_.Run([&](int rank) {
    Status& outcome = outcomes[static_cast<size_t>(rank)];
    outcome = task(rank);
    if (!outcome.ok()) group_.Break();
  });
  if (!group_.is_broken()) return Outcome(outcomes);
  Finish();
  group_.Repair();
  const auto is_ok = [](const Status& outcome) { return outcome.ok(); };
  if (!std::all_of(outcomes.begin(), outcomes.end(), is_ok)) return Outcome(outcomes);
  return EngineFailed("a device of the group has waited too long for another one");
}

Status Decoder::Outcome(const std::vector<Status>& outcomes) const {
  const auto agrees = [&](const Status& one) { return AreEqual(one, outcomes[0]); };
  if (std::all_of(outcomes.begin(), outcomes.end(), agrees)) return outcomes[0];
  // A rank whose load was cancelled has nothing to say but that another one failed.
  const auto fails = [](const Status& one) {
    return !one.ok() && one.reason() != Reason::kEngineClosed;
  };
  const auto failed = std::find_if(outcomes.begin(), outcomes.end(), fails);
  if (failed == outcomes.end()) return Status(Reason::kEngineClosed, "closed while it was loading");
  const size_t rank = static_cast<size_t>(failed - outcomes.begin());
  return Status(failed->reason(), "rank " + std::to_string(rank) + " of " +
                                      std::to_string(outcomes.size()) + ", " +
                                      DeviceName(devices_[rank]) + ": " + failed->message());
}

Result<std::unique_ptr<Decoder>> Decoder::Load(const DecoderOptions& options,
                                               DeviceOpener open_device) {
  const auto start = std::chrono::steady_clock::now();
  const Status checked = CheckOptions(options);
  if (!checked.ok()) return checked;
  const Result<DecoderSource> source = DecoderSource::Open(options);
  if (!source.ok()) return source.status();
  const int num_ranks = static_cast<int>(options.devices.size());
  std::vector<DecoderShard> shards;
  for (int rank = 0; rank < num_ranks; ++rank) {
    const Result<DecoderShard> shard = MakeShard(source.value().config, rank, num_ranks);
    if (!shard.ok()) return shard.status();
    shards.push_back(shard.value());
  }

  std::unique_ptr<Decoder> decoder(new Decoder(options.devices));
  std::atomic<bool> alone = false;
  DecoderOptions rank_options = options;
  if (options.cancelled == nullptr) rank_options.cancelled = &alone;
  MemoryCheck memory_check(num_ranks);
  const Status loaded = decoder->OnRanks([&](int rank) {
    const size_t i = static_cast<size_t>(rank);
    const Status one =
        DecoderRank::Load(rank_options,
                          {.source = source.value(),
                           .shard = shards[i],
                           .group_rank = num_ranks == 1 ? nullptr : &decoder->places_[i],
                           .memory_check = &memory_check},
                          open_device, decoder->ranks_[i]);
    if (!one.ok()) rank_options.cancelled->store(true);
    return one;
  });
  if (!loaded.ok()) return loaded;
  decoder->Describe();
  decoder->description_.load_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                      std::chrono::steady_clock::now() - start)
                                      .count();
  return decoder;
}

// Describes all ranks together: memory adds up, and of the caches the one that fared worst counts.
void Decoder::Describe() {
  description_ = ranks_[0]->description();
  for (size_t rank = 1; rank < ranks_.size(); ++rank) {
    const DecoderDescription& other = ranks_[rank]->description();
    CHECK(other.num_blocks == description_.num_blocks);
    std::erase_if(description_.reachable_devices, [&](const std::string& device) {
      const std::vector<std::string>& names = other.reachable_devices;
      return std::find(names.begin(), names.end(), device) == names.end();
    });
    description_.weight_bytes += other.weight_bytes;
    description_.kv_cache_bytes += other.kv_cache_bytes;
    if (other.weights_cache.outcome > description_.weights_cache.outcome) {
      description_.weights_cache = other.weights_cache;
    }
  }
}

Status Decoder::Execute(StepPlan plan, StepResult& result) {
  const std::vector<uint32_t> chosen = std::exchange(chosen_, {});
  const Status taken = TakeChosenTokens(chosen, plan);
  if (!taken.ok()) return taken;
  std::vector<StepResult> results(ranks_.size());
  const Status executed = OnRanks([&](int rank) {
    const size_t i = static_cast<size_t>(rank);
    return ranks_[i]->Execute(plan, results[i]);
  });
  if (!executed.ok()) return executed;
  result = std::move(results[0]);
  for (const ChosenToken& output : result.outputs) chosen_.push_back(output.token_id);
  return Status();
}

Result<int64_t> Decoder::OpenRowPool(const MemoryHandle& handle, size_t bytes) {
  const int64_t source = num_opened_pools_++;
  const Status opened = OnRanks([&](int rank) {
    return ranks_[static_cast<size_t>(rank)]->row_pool().Open(source, handle, bytes);
  });
  if (opened.ok()) return source;
  CloseRowPool(source);
  return opened;
}

void Decoder::CloseRowPool(int64_t source) {
  threads_.Run(
      [&](int rank) { ranks_[static_cast<size_t>(rank)]->row_pool().Close(source); });
}

Status Decoder::CopyRows(const RowCopy& copy) {
  return OnRanks(
      [&](int rank) { return ranks_[static_cast<size_t>(rank)]->row_pool().Copy(copy); });
}

Status Decoder::Trace(const TraceRequest& request, DecoderTrace& trace) {
  std::vector<DecoderTrace> traces(ranks_.size());
  const Status traced = OnRanks([&](int rank) {
    const size_t i = static_cast<size_t>(rank);
    return ranks_[i]->Trace(request, traces[i]);
  });
  if (traced.ok()) trace = std::move(traces[0]);
  return traced;
}

}  // namespace autoglm
