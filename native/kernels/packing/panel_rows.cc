#include "kernels/packing/panel_rows.h"

#include <algorithm>
#include <cstring>

#include "device/memory.h"
#include "kernels/packing/convert.h"
#include "kernels/packing/quantize_rows.h"

namespace autoglm {
namespace {

// Calls visit(source, first row of the source, row of the panel, rows) for each source that has
// rows begin .. begin + count - 1 of the concatenated sources.
template <typename Visit>
void ForEachSource(const PackOp& op, int64_t begin, int64_t count, const Visit& visit) {
  int64_t source_begin = 0;
  for (const WeightRows& source : op.sources) {
    const int64_t first = std::max(begin, source_begin);
    const int64_t last = std::min(begin + count, source_begin + source.rows);
    if (first < last) visit(source, first - source_begin, first - begin, last - first);
    source_begin += source.rows;
  }
}

// Returns the source that holds all rows, and the first of them; null if several do.
const WeightRows* OnlySource(const PackOp& op, int64_t begin, int64_t count, int64_t& first_row) {
  const WeightRows* only = nullptr;
  ForEachSource(op, begin, count,
                [&](const WeightRows& source, int64_t first, int64_t, int64_t rows) {
                  if (rows != count) return;
                  only = &source;
                  first_row = first;
                });
  return only;
}

const char* FloatRow(const PackOp& op, const WeightRows& source, int64_t row) {
  return static_cast<const char*>(source.data) +
         static_cast<size_t>(row * op.shape.depth) * DtypeBytes(source.dtype);
}

void CopyFloats(const kernels::ConvertKernels& convert, const PackOp& op, int64_t begin,
                int64_t count, char* rows) {
  const Dtype dtype = UnpackedDtype(op.shape.format);
  const int64_t depth = op.shape.depth;
  ForEachSource(
      op, begin, count,
      [&](const WeightRows& source, int64_t first, int64_t row, int64_t num_rows) {
        ConvertValues(convert,
                      {.source = FloatRow(op, source, first),
                       .source_dtype = source.dtype,
                       .target = rows + static_cast<size_t>(row * depth) * DtypeBytes(dtype),
                       .target_dtype = dtype,
                       .count = num_rows * depth});
      });
}

// Returns true if the rows are aligned floats of the packed type.
bool CanPackInPlace(const PackOp& op, const WeightRows& source) {
  const Dtype dtype = UnpackedDtype(op.shape.format);
  return source.dtype == dtype &&
         reinterpret_cast<uintptr_t>(source.data) % DtypeBytes(dtype) == 0;
}

// Makes room for the rows, whose values are written next.
char* MakeRows(PanelRows& panel, int64_t bytes) {
  panel.copied_rows = std::make_unique_for_overwrite<char[]>(static_cast<size_t>(bytes));
  panel.rows = panel.copied_rows.get();
  return panel.copied_rows.get();
}

PanelRows CollectFloats(const kernels::ConvertKernels& convert, const PackOp& op, int64_t begin,
                        int64_t count) {
  PanelRows panel;
  int64_t first = 0;
  const WeightRows* const only = OnlySource(op, begin, count, first);
  if (only != nullptr && CanPackInPlace(op, *only)) {
    panel.rows = FloatRow(op, *only, first);
    return panel;
  }
  const int64_t value_bytes = static_cast<int64_t>(DtypeBytes(UnpackedDtype(op.shape.format)));
  CopyFloats(convert, op, begin, count, MakeRows(panel, count * op.shape.depth * value_bytes));
  return panel;
}

// Rounds floats to integers, a row at a time, which stays in the cache meanwhile.
PanelRows QuantizeFloats(const kernels::ConvertKernels& convert, const PackOp& op, int64_t begin,
                         int64_t count) {
  const int64_t depth = op.shape.depth;
  const int64_t num_groups = NumGroups(op.shape.format, depth);
  PanelRows panel;
  int8_t* const values = reinterpret_cast<int8_t*>(MakeRows(panel, count * depth));
  panel.copied_scales.resize(static_cast<size_t>(count * num_groups));
  panel.scales = panel.copied_scales.data();
  std::vector<float> floats(static_cast<size_t>(depth));
  for (int64_t row = 0; row < count; ++row) {
    CopyFloats(convert, op, begin + row, 1, reinterpret_cast<char*>(floats.data()));
    panel.are_finite =
        panel.are_finite &&
        QuantizeRow(convert, op.shape.format, floats.data(), depth,
                    {values + row * depth, panel.copied_scales.data() + row * num_groups});
  }
  return panel;
}

PanelRows CollectIntegers(const PackOp& op, int64_t begin, int64_t count) {
  const int64_t depth = op.shape.depth;
  const int64_t num_groups = NumGroups(op.shape.format, depth);
  PanelRows panel;
  int64_t first_row = 0;
  if (const WeightRows* const only = OnlySource(op, begin, count, first_row); only != nullptr) {
    const IntegerRows& integers = only->integers;
    panel.rows = integers.values + first_row * depth;
    panel.scales = integers.scales + first_row * num_groups;
    if (integers.zero_points != nullptr) {
      panel.zero_points = integers.zero_points + first_row * num_groups;
    }
    return panel;
  }
  char* const copied = MakeRows(panel, count * depth);
  ForEachSource(
      op, begin, count,
      [&](const WeightRows& source, int64_t first, int64_t row, int64_t rows) {
        const IntegerRows& integers = source.integers;
        std::memcpy(copied + row * depth, integers.values + first * depth,
                    static_cast<size_t>(rows * depth));
        const float* scales = integers.scales + first * num_groups;
        panel.copied_scales.insert(panel.copied_scales.end(), scales, scales + rows * num_groups);
        if (integers.zero_points == nullptr) return;
        const int8_t* zeros = integers.zero_points + first * num_groups;
        panel.copied_zero_points.insert(panel.copied_zero_points.end(), zeros,
                                        zeros + rows * num_groups);
      });
  panel.scales = panel.copied_scales.data();
  panel.zero_points = panel.copied_zero_points.data();
  return panel;
}

}  // namespace

PanelRows CollectPanelRows(const kernels::ConvertKernels& convert, const PackOp& op, int64_t begin,
                           int64_t count) {
  if (!IsQuantized(op.shape.format)) return CollectFloats(convert, op, begin, count);
  if (op.sources[0].data == nullptr) return CollectIntegers(op, begin, count);
  CHECK(op.shape.format.type != WeightType::kFp8);
  return QuantizeFloats(convert, op, begin, count);
}

Status WeightNotFinite() {
  return InvalidCheckpoint(
      "a weight to be quantized holds infinity or NaN; load it without quantization");
}

void DropPackedRows(const PackOp& op, int64_t begin, int64_t count) {
  ForEachSource(op, begin, count,
                [&](const WeightRows& source, int64_t first, int64_t, int64_t rows) {
                  if (!source.is_mapped) return;
                  const char* const begin_row = FloatRow(op, source, first);
                  DropFilePages(begin_row, static_cast<size_t>(FloatRow(op, source, first + rows) -
                                                               begin_row));
                });
}

}  // namespace autoglm
