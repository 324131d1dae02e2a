#include "kernels/cuda/gemm/pack.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>

#include "base/float_bits.h"
#include "kernels/cuda/cuda_context.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/gemm/layout.h"
#include "kernels/packing/panel_rows.h"

namespace autoglm::cuda {
namespace {

// Depths that a lane's columns have side by side.
constexpr int64_t kRun = 8;

// Bytes of packed weights that are made on the host before they are copied.
constexpr int64_t kPieceBytes = int64_t{16} << 20;

// Columns of a weight that become a tile.
struct TileRows {
  const PanelRows& rows;
  int64_t count;  // 1..kTileColumns; the rest of the tile is zeros
};

// Swaps the second and third byte of each word, so that a mask takes a pair of neighbours.
uint64_t OrderBytes(uint64_t run) {
  constexpr uint64_t kSecond = 0x0000ff000000ff00u;
  constexpr uint64_t kOuter = 0xff0000ffff0000ffu;
  return (run & kOuter) | (run & kSecond) << 8 | (run >> 8 & kSecond);
}

// Gathers the nibbles of bytes 0, 2, 4 and 6.
uint32_t EvenNibbles(uint64_t run) {
  const uint64_t even = run & 0x000f000f000f000fu;
  return static_cast<uint32_t>((even | even >> 12 | even >> 24 | even >> 36) & 0xffffu);
}

// Adds 8 to eight int4, and lays those of even places in the lower half of a word, those of odd
// places in the upper one.
uint32_t OrderNibbles(uint64_t run) {
  const uint64_t shifted = (run & 0x0f0f0f0f0f0f0f0fu) ^ 0x0808080808080808u;
  return EvenNibbles(shifted) | EvenNibbles(shifted >> 8) << 16;
}

// Returns whether any of eight numbers of fp8 is a NaN: all bits but the sign's are set.
bool HasFp8Nan(uint64_t run) {
  const uint64_t magnitudes = run & 0x7f7f7f7f7f7f7f7fu;
  return ((magnitudes + 0x0101010101010101u) & 0x8080808080808080u) != 0;
}

// Packs the numbers with groups of one column in a block: `values` [count]. Returns false if one is a
// NaN.
bool PackRuns(WeightNumbers numbers, const char* values, int64_t count, int column,
              std::byte* block) {
  bool are_numbers = true;
  for (int64_t begin = 0; begin < count; begin += kRun) {
    uint64_t run = 0;
    std::memcpy(&run, values + begin, static_cast<size_t>(std::min(kRun, count - begin)));
    std::byte* const place = block + PlaceOfValue(numbers, column, static_cast<int>(begin)).byte;
    if (numbers == WeightNumbers::kInt4) {
      const uint32_t nibbles = OrderNibbles(run);
      std::memcpy(place, &nibbles, sizeof(nibbles));
      continue;
    }
    if (numbers == WeightNumbers::kFp8 && HasFp8Nan(run)) are_numbers = false;
    const uint64_t bytes = OrderBytes(run);
    std::memcpy(place, &bytes, sizeof(bytes));
  }
  return are_numbers;
}

// Refuses NaN of fp8, which is not widened to one.
Status PackValues(const WeightShape& shape, const GemmLayout& layout, const TileRows& source,
                std::byte* tile) {
  const WeightNumbers numbers = NumbersOf(shape.format);
  const int64_t block_depth = BlockDepth(numbers);
  const int64_t value_bytes =
      IsQuantized(shape.format) ? 1
                                : static_cast<int64_t>(DtypeBytes(UnpackedDtype(shape.format)));
  for (int64_t begin = 0; begin < shape.depth; begin += block_depth) {
    const int64_t block = begin / block_depth;
    std::byte* const target = tile + block / UnitBlocks(numbers) * layout.unit_bytes +
                              block % UnitBlocks(numbers) * BlockBytes(numbers);
    const int64_t count = std::min(block_depth, shape.depth - begin);
    for (int64_t column = 0; column < source.count; ++column) {
      const char* const values = static_cast<const char*>(source.rows.rows) +
                                 (column * shape.depth + begin) * value_bytes;
      if (HasGroups(numbers)) {
        if (PackRuns(numbers, values, count, static_cast<int>(column), target)) continue;
        return InvalidCheckpoint("a weight of fp8 holds NaN");
      }
      std::memcpy(target + PlaceOfValue(numbers, static_cast<int>(column), 0).byte, values,
                  static_cast<size_t>(count * value_bytes));
    }
  }
  return Status();
}

void StoreScale(Dtype dtype, float scale, std::byte* scales, int64_t index) {
  if (dtype == Dtype::kFloat32) {
    std::memcpy(scales + index * 4, &scale, sizeof(scale));
    return;
  }
  const uint16_t bits =
      dtype == Dtype::kBfloat16 ? FloatToBFloat16(scale) : FloatToFloat16(scale);
  std::memcpy(scales + index * 2, &bits, sizeof(bits));
}

// Packs the scale and the zero point of one column in one group of a unit.
Status PackGroup(const WeightFormat& format, const GemmLayout& layout, float scale,
                 int zero_point, int64_t index, std::byte* unit) {
  const WeightNumbers numbers = NumbersOf(format);
  StoreScale(format.scale_dtype, scale, unit + UnitValueBytes(numbers), index);
  if (!format.has_zero_points) return Status();
  const float offset = OffsetOf(numbers, zero_point);
  const uint16_t bits = FloatToBFloat16(offset);
  std::memcpy(unit + layout.offsets_begin + index * 2, &bits, sizeof(bits));
  if (BFloat16ToFloat(bits) == offset) return Status();
  return InvalidCheckpoint("weights of " + std::string(WeightFormatName(format)) +
                           " have the zero point " + std::to_string(zero_point) +
                           ", which a GPU cannot take; supported: -120 to 120");
}

Status PackScales(const WeightShape& shape, const GemmLayout& layout, const TileRows& source,
                  std::byte* tile) {
  const WeightFormat& format = shape.format;
  const int64_t num_groups = NumGroups(format, shape.depth);
  const int64_t unit_depth = UnitDepth(NumbersOf(format));
  for (int64_t unit = 0; unit < layout.num_units; ++unit) {
    for (int64_t i = 0; i < layout.unit_groups; ++i) {
      const int64_t depth = unit * unit_depth + i * (unit_depth / layout.unit_groups);
      const int64_t group = format.group_size == 0 ? 0 : depth / format.group_size;
      if (group >= num_groups) continue;
      for (int64_t column = 0; column < source.count; ++column) {
        const int64_t at = column * num_groups + group;
        const int8_t* const zero_points = source.rows.zero_points;
        const Status status = PackGroup(format, layout, source.rows.scales[at],
                                        zero_points == nullptr ? 0 : zero_points[at],
                                        i * kTileColumns + column, tile + unit * layout.unit_bytes);
        if (!status.ok()) return status;
      }
    }
  }
  return Status();
}

// Writes a tile of layout.tile_bytes. Refuses NaN of fp8, and zero points that no bfloat16 can take from
// an integer exactly.
Status PackTile(const WeightShape& shape, const GemmLayout& layout, const TileRows& source,
                std::byte* tile) {
  std::memset(tile, 0, static_cast<size_t>(layout.tile_bytes));
  const Status packed = PackValues(shape, layout, source, tile);
  if (!packed.ok()) return packed;
  const WeightNumbers numbers = NumbersOf(shape.format);
  if (HasGroups(numbers)) return PackScales(shape, layout, source, tile);
  if (QuantizesInput(numbers) && source.count > 0) {
    std::memcpy(tile + layout.num_units * layout.unit_bytes, source.rows.scales,
                static_cast<size_t>(source.count) * sizeof(float));
  }
  return Status();
}

// The first refusal of several threads.
class FirstRefusal {
 public:
  void Add(const Status& status) {
    if (status.ok()) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (status_.ok()) status_ = status;
  }
  // Returns it, when the threads are done.
  const Status& status() const { return status_; }

 private:
  std::mutex mutex_;
  Status status_;
};

}  // namespace

Status Pack(OpsContext& context, const PackOp& op) {
  CudaContext& cuda = Cuda(context);
  int64_t columns = 0;
  for (const WeightRows& source : op.sources) columns += source.rows;
  CHECK(columns == op.shape.columns);
  const GemmLayout layout = LayoutOf(op.shape);
  if (layout.bytes() == 0) return Status();
  const int64_t piece_tiles =
      std::clamp<int64_t>(kPieceBytes / layout.tile_bytes, 1, layout.num_tiles);
  std::vector<std::byte>& packed = cuda.gemm_scratch.packed;
  packed.resize(std::max(packed.size(), static_cast<size_t>(piece_tiles * layout.tile_bytes)));
  FirstRefusal refusal;
  for (int64_t first = 0; first < layout.num_tiles; first += piece_tiles) {
    const int64_t num_tiles = std::min(piece_tiles, layout.num_tiles - first);
    cuda.threads().ParallelFor(num_tiles, [&](int64_t tile) {
      const int64_t begin = (first + tile) * kTileColumns;
      const int64_t count = std::min<int64_t>(kTileColumns, columns - begin);
      const PanelRows rows = CollectPanelRows(HostConvert(), op, begin, count);
      std::byte* const target = packed.data() + tile * layout.tile_bytes;
      refusal.Add(rows.are_finite ? PackTile(op.shape, layout, {rows, count}, target)
                                  : WeightNotFinite());
      DropPackedRows(op, begin, count);
    });
    if (!refusal.status().ok()) return refusal.status();
    cuda.stream().CopyIn(static_cast<std::byte*>(op.packed) + first * layout.tile_bytes,
                         packed.data(), static_cast<size_t>(num_tiles * layout.tile_bytes));
  }
  return Status();
}

}  // namespace autoglm::cuda
