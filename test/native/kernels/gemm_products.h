#ifndef AUTOGLM_TEST_NATIVE_KERNELS_GEMM_PRODUCTS_H_
#define AUTOGLM_TEST_NATIVE_KERNELS_GEMM_PRODUCTS_H_

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/float_bits.h"
#include "doctest/doctest.h"
#include "kernels/kernels.h"

namespace autoglm::kernels {

struct FreePanels {
  void operator()(char* panels) const { std::free(panels); }
};

// Multiplies as a device does: in the layout that the level takes of so many rows. row_bytes: of a
// row of x.
inline void MultiplyTask(const GemmKernels& gemm, const GemmArgs& args, int64_t row_bytes) {
  const GemmTask task = gemm.largest_task(args.format, args.x_dtype, args.depth, args.num_rows);
  if (task.x_layout == InputLayout::kFloatRows && args.x_layout == InputLayout::kRows) {
    std::vector<float> wide(static_cast<size_t>(args.num_rows * args.depth));
    for (int64_t row = 0; row < args.num_rows; ++row) {
      const uint16_t* narrow = static_cast<const uint16_t*>(args.x) + row * args.x_stride;
      for (int64_t d = 0; d < args.depth; ++d) {
        wide[static_cast<size_t>(row * args.depth + d)] = BFloat16ToFloat(narrow[d]);
      }
    }
    GemmArgs widened = args;
    widened.x = wide.data();
    widened.x_layout = InputLayout::kFloatRows;
    widened.x_stride = args.depth;
    return gemm.multiply(widened);
  }
  if (task.x_layout != InputLayout::kTiles || args.num_rows > task.num_rows) {
    return gemm.multiply(args);
  }
  const std::unique_ptr<char, FreePanels> scratch(
      static_cast<char*>(std::aligned_alloc(64, gemm.scratch_bytes)));
  const int64_t tiled_bytes = (args.num_rows + 15) / 16 * 16 * ((row_bytes + 63) / 64 * 64);
  const std::unique_ptr<char, FreePanels> tiles(
      static_cast<char*>(std::aligned_alloc(64, static_cast<size_t>(tiled_bytes))));
  std::memset(tiles.get(), 0xff, static_cast<size_t>(tiled_bytes));  // NaN where nothing is written
  for (int64_t row = 0; row < args.num_rows; ++row) {
    gemm.arrange_row({.x = static_cast<const char*>(args.x) + row * row_bytes,
                      .row_bytes = row_bytes,
                      .row = row,
                      .num_rows = args.num_rows,
                      .tiles = tiles.get()});
  }
  GemmArgs tiled = args;
  tiled.x = tiles.get();
  tiled.x_layout = InputLayout::kTiles;
  tiled.scratch = scratch.get();
  gemm.multiply(tiled);
}

// Checks that rows have the same bits by themselves, in any small number, as all together.
template <typename Product>
void CheckRowsAlone(const GemmKernels& gemm, const Product& product) {
  const int64_t num_columns = product.num_columns;
  const auto panels = product.Pack(gemm);
  std::vector<float> together(static_cast<size_t>(product.num_rows * num_columns));
  product.Multiply(gemm, panels.get(), 0, product.num_rows, together.data());

  for (const int64_t count : {1, 2, 5, 6}) {
    for (int64_t row = 0; row + count <= product.num_rows; ++row) {
      std::vector<float> some(static_cast<size_t>(count * num_columns));
      product.Multiply(gemm, panels.get(), row, count, some.data());
      CHECK_EQ(std::memcmp(some.data(), together.data() + row * num_columns, some.size() * 4), 0);
    }
  }
}

}  // namespace autoglm::kernels

#endif  // AUTOGLM_TEST_NATIVE_KERNELS_GEMM_PRODUCTS_H_
