#include "kernels/cuda/group/peer_exchange.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <new>
#include <utility>
#include <vector>

#include "base/check.h"

namespace autoglm::cuda {
namespace {

// Sums of so many values are read by all ranks from all others: waiting takes longer than reading.
constexpr int64_t kMaxOneShotValues = int64_t{64} << 10;
// Epochs that a repair skips, so that no word of the time before reaches one that comes.
constexpr int kEpochBits = 40;

Status BrokenGroup() {
  return Status(Reason::kEngineClosed, "another rank of the group has failed");
}

std::string GpuName(int64_t ordinal) { return "cuda:" + std::to_string(ordinal); }

// Returns the first rank for which `can_access` is false, or -1.
template <typename CanAccess>
int64_t FirstWithout(const std::vector<int64_t>& ordinals, const CanAccess& can_access) {
  const auto found = std::find_if_not(ordinals.begin(), ordinals.end(), can_access);
  return found == ordinals.end() ? -1 : found - ordinals.begin();
}

}  // namespace

Result<PeerExchange::Access> PeerExchange::OpenAccess(Stream& stream, const GroupRank& place) {
  const auto& [group, rank] = place;
  const size_t num_ranks = static_cast<size_t>(group->num_ranks());
  std::vector<int64_t> ordinals(num_ranks);
  std::vector<int64_t> missing(num_ranks);
  if (!group->Share(rank, stream.ordinal(), ordinals)) return BrokenGroup();
  if (num_ranks > kMaxPeers) {
    return Access{"the group has more than " + std::to_string(kMaxPeers) + " ranks"};
  }
  const auto share = [&](int64_t value) -> Result<Access> {
    if (!group->Share(rank, value, missing)) return BrokenGroup();
    for (size_t i = 0; i < num_ranks; ++i) {
      if (missing[i] < 0) continue;
      return Access{GpuName(ordinals[i]) + " has no access to the memory of " +
                    GpuName(ordinals[static_cast<size_t>(missing[i])])};
    }
    return Access();
  };
  const Result<Access> asked = share(FirstWithout(ordinals, [&](int64_t peer) {
    return Stream::CanAccess(stream.ordinal(), static_cast<int>(peer));
  }));
  if (!asked.ok() || !asked.value().missing.empty()) return asked;
  return share(FirstWithout(
      ordinals, [&](int64_t peer) { return stream.OpenAccess(static_cast<int>(peer)); }));
}

Result<std::unique_ptr<PeerExchange>> PeerExchange::Create(Stream& stream, const GroupRank& place) {
  const auto& [group, rank] = place;
  std::unique_ptr<PeerExchange> exchange(new PeerExchange(stream, place));
  stream.LoadKernels();
  Result<DeviceBuffer> memory = stream.Allocate(sizeof(PeerMemory));
  if (!memory.ok()) return memory.status();
  exchange->memory_ = std::move(memory.value());
  PeerMemory* const own = exchange->memory_.as<PeerMemory>();
  stream.Clear(own->reached, sizeof(own->reached));
  stream.Clear(own->epoch, sizeof(own->epoch));
  if (rank == 0) {
    Result<DeviceBuffer> word = stream.AllocateMapped(sizeof(std::atomic<uint64_t>));
    if (!word.ok()) return word.status();
    exchange->break_word_ = std::move(word.value());
    group->SetBreakWord(new (exchange->break_word_.data()) std::atomic<uint64_t>(0));
  }
  // Others write to the memory as soon as they know of it.
  stream.Synchronize();
  return exchange;
}

Status PeerExchange::Connect() {
  const auto& [group, rank] = place_;
  const size_t num_ranks = static_cast<size_t>(group->num_ranks());
  CHECK(num_ranks <= kMaxPeers);
  std::vector<int64_t> all(num_ranks);
  if (!group->Share(rank, reinterpret_cast<int64_t>(memory_.data()), all)) return BrokenGroup();
  for (size_t i = 0; i < num_ranks; ++i) {
    meeting_.memory[i] = reinterpret_cast<PeerMemory*>(all[i]);
  }
  if (!group->Share(rank, reinterpret_cast<int64_t>(break_word_.data()), all)) return BrokenGroup();
  meeting_.break_word = reinterpret_cast<uint64_t*>(all[0]);
  meeting_.num_ranks = group->num_ranks();
  meeting_.rank = rank;
  return Status();
}

PeerExchange::~PeerExchange() {
  if (break_word_.data() != nullptr) place_.group->SetBreakWord(nullptr);
}

// The ranks of a broken group have made different numbers of launches: all begin anew, above all that
// was.
void PeerExchange::Restart() {
  const uint64_t num_repairs = uint64_t{place_.group->num_repairs()} + 1;
  std::array<uint64_t, kPeerBlocks> epochs;
  epochs.fill(num_repairs << kEpochBits);
  stream_.CopyIn(memory_.as<PeerMemory>()->epoch, epochs.data(), sizeof(epochs));
}

void PeerExchange::Sum(float* x, int64_t count) {
  for (int64_t begin = 0; begin < count; begin += kPeerValues) {
    const int64_t piece = std::min(kPeerValues, count - begin);
    if (meeting_.num_ranks <= 2 || piece <= kMaxOneShotValues) {
      SumInOneShot(stream_, meeting_, x + begin, piece);
    } else {
      SumInTwoShots(stream_, meeting_, x + begin, piece);
    }
  }
}

void PeerExchange::Gather(const MatrixView& part, const MatrixView& whole) {
  CHECK(whole.columns <= kPeerValues);
  const int64_t rows = kPeerValues / whole.columns;
  for (int64_t row = 0; row < whole.rows; row += rows) {
    const int64_t count = std::min(rows, whole.rows - row);
    MatrixView piece = whole.Rows(row, count);
    if (whole.data == nullptr) piece.data = nullptr;
    GatherColumns(stream_, meeting_, part.Rows(row, count), piece);
  }
}

}  // namespace autoglm::cuda
