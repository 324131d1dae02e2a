#ifndef AUTOGLM_KERNELS_SIMD_PANEL_BLOCK_H_
#define AUTOGLM_KERNELS_SIMD_PANEL_BLOCK_H_

#include "kernels/kernels.h"
#include "kernels/simd/tile.h"

namespace autoglm::kernels {
namespace {

template <typename V>
constexpr int64_t kPanelWidth = V::kTileVectors * V::kWidth;

// Depth of the slab of a panel that all rows are multiplied with in turn: 256 KiB at most, so that
// it stays in the second-level cache. A multiple of 8, so that no pair or lane is split.
constexpr int64_t kDepthBlock = 1024;
static_assert(kMaxGroupSize <= kDepthBlock);

// The same for weights of 16 and of 8 bits that are multiplied as they lie in memory: 192 KiB, since the sums
// of all rows are read and written once a slab.
constexpr int64_t kPairDepthBlock = 1536;
constexpr int64_t kByteDepthBlock = 3072;

// Panels that pass a tile of rows together: as many as have 64 columns, so that a row that is prepared
// for its products is used often.
template <typename V>
constexpr int64_t kPanelGroup = kMaxPanelWidth / kPanelWidth<V>;

// Panels whose sums for kRows rows are in registers together. The registers that few rows would leave
// empty take further columns, since a sum waits for the one before it.
template <typename V, int kRows>
constexpr int kPanelsAtOnce = kPanelGroup<V> == 1 ? 1 : kRows == 1 ? 4 : kRows <= 3 ? 2 : 1;

// Returns true if an input's numbers are float32 in memory.
inline bool HasFloatRows(const GemmArgs& args) {
  return args.x_dtype == Dtype::kFloat32 || args.x_layout == InputLayout::kFloatRows;
}

// The part of the product of consecutive panels that spans depth depth_begin..depth_end - 1.
struct PanelBlock {
  const char* panel;    // the first
  int64_t panel_bytes;  // from a panel to the next
  int64_t column;       // of the output, at which the first panel starts
  int64_t width;        // columns of the panels that exist
  int64_t depth_begin;
  int64_t depth_end;
  bool has_next;  // the same rows are multiplied with what follows it in memory

  int64_t Depth() const { return depth_end - depth_begin; }
};

// Calls visit(block) for blocks of at most max_depth depths of panels, each of whole groups of so many
// depths, at most max_depth. An empty depth has one block too, which writes the bias.
template <typename Visit>
void ForEachDepthBlock(const PanelBlock& panels, int64_t group_depth, int64_t max_depth,
                       const Visit& visit) {
  const int64_t most = max_depth / group_depth * group_depth;
  PanelBlock block = panels;
  do {
    const int64_t rest = panels.depth_end - block.depth_begin;
    block.depth_end = rest < most ? panels.depth_end : block.depth_begin + most;
    block.has_next = panels.has_next || block.depth_end < panels.depth_end;
    visit(block);
    block.depth_begin = block.depth_end;
  } while (block.depth_begin < panels.depth_end);
}

template <int kPanels>
struct PanelCount {
  static constexpr int kCount = kPanels;
};

// Calls visit(PanelCount<n>(), block of n panels, index of the first) for all panels of a block, at
// most kPanels at once.
template <typename V, int kRows, int kPanels = kPanelsAtOnce<V, kRows>, typename Visit>
void ForEachPanelTile(const PanelBlock& block, const Visit& visit) {
  const int64_t num_panels = (block.width + kPanelWidth<V> - 1) / kPanelWidth<V>;
  int64_t panel = 0;
  const auto visit_next = [&](auto panels) {
    PanelBlock part = block;
    part.panel += panel * block.panel_bytes;
    part.column += panel * kPanelWidth<V>;
    part.width -= panel * kPanelWidth<V>;
    visit(panels, part, panel);
    panel += panels.kCount;
  };
  while (panel + kPanels <= num_panels) visit_next(PanelCount<kPanels>());
  if constexpr (kPanels > 2) {
    if (panel + 2 <= num_panels) visit_next(PanelCount<2>());
  }
  if constexpr (kPanels > 1) {
    if (panel < num_panels) visit_next(PanelCount<1>());
  }
}

// Returns the number of columns of vector v, counted through all panels, that exist, 0..kWidth.
template <typename V>
int64_t ColumnsOf(const PanelBlock& block, int v) {
  const int64_t count = block.width - v * V::kWidth;
  return count < 0 ? 0 : count < V::kWidth ? count : V::kWidth;
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_PANEL_BLOCK_H_
