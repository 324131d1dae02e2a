#ifndef AUTOGLM_KERNELS_KERNELS_H_
#define AUTOGLM_KERNELS_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"
#include "base/kv_dtype.h"
#include "base/weight_format.h"
#include "kernels/image_kernels.h"

// Tables of kernels, one per CPU level. A kernel is the work of one core on one block of rows.
//
// Contracts that hold for every pointer, at every level:
// - A row's result depends on that row alone. The order of each reduction is fixed by the level and
//   the row's length, never by the number of rows, the place in the block or the alignment: bit for
//   bit the same alone or in a batch. Levels may differ from each other in the last bits.
// - Activations are float32. Strides count elements. Pointers need only the alignment of their
//   type, except packed panels (64 bytes). Any count may be 0. Nothing outside the stated shape is
//   read or written, so a length that is no multiple of a vector's needs masks or a scalar tail.
// - Output and input are distinct memory unless the comment says "in place allowed".
// - No allocation, no locks, no exceptions; temporary memory is on the stack, at most 64 KiB, or what
//   the arguments bring.
//
// Files of an instruction set include this header and intrinsics only, with everything but their
// Apply function in an anonymous namespace (see README.md), so this header declares and never
// defines.

namespace autoglm::kernels {

inline constexpr int kMaxHeadDim = 256;
inline constexpr int kMaxPanelWidth = 64;
inline constexpr size_t kPanelAlignment = 64;
// Counts the ways in which panels of integers and of floats have been laid out. It grows with every
// change of one, because packed weights are kept on disk.
inline constexpr int kPanelLayoutVersion = 1;

// Matrix products against weights that were packed once, at load, in panels of `panel_width` output
// columns. A level that overrides one of these pointers overrides them all.
struct PackPanelArgs {
  WeightFormat format;
  // [num_rows, depth] of the format's unpacked type, or of int8 if it has integers; dense: output
  // columns.
  const void* rows;
  int64_t num_rows;  // 1..panel_width; the rest of the panel is filled with zeros
  int64_t depth;     // input width
  void* panel;       // panel_bytes(format, depth) bytes
  const float* scales = nullptr;        // [num_rows, groups] of integers, exact in scale_dtype
  const int8_t* zero_points = nullptr;  // [num_rows, groups] if the format has them
};

// How the input of a product lies in memory: row by row; in the order of a level's arrange_row; row by
// row of int16 with a scale each, as float32_to_int16 writes them, which some levels multiply faster
// than bfloat16; or row by row of bfloat16 held as float32, where the processor multiplies only those.
enum class InputLayout : uint8_t { kRows, kTiles, kInt16Rows, kFloatRows };

struct GemmArgs {
  Dtype x_dtype;  // float32 or bfloat16; not used if the format quantizes its input
  // [num_rows, depth] of x_dtype or what x_layout says, or of uint8 as float32_to_uint8 writes it.
  const void* x;
  InputLayout x_layout = InputLayout::kRows;
  const float* x_scales = nullptr;  // [num_rows] of an input of uint8 or int16
  int64_t x_stride;                 // of rows
  int64_t num_rows;
  int64_t depth;
  WeightFormat format;
  const void* panels;  // [ceil(num_columns / panel_width)] panels, one after another
  const float* bias;   // [num_columns] or null
  float* y;            // [num_rows, num_columns]
  int64_t y_stride;
  int64_t num_columns;
  void* scratch = nullptr;  // scratch_bytes of the calling thread, for an input of tiles
};

// Part of a product: rows of the input times consecutive panels.
struct GemmTask {
  int64_t num_rows;
  int64_t num_panels;
  InputLayout x_layout = InputLayout::kRows;
};

struct ArrangeRowArgs {
  const void* x;      // a row of a task's input, as it is multiplied
  int64_t row_bytes;  // of x
  int64_t row;        // index among the task's rows
  int64_t num_rows;   // of the task
  void* tiles;        // of the task, 64-byte aligned: ceil(rows / 16) * 16 rows of row_bytes, a
                      // multiple of 64 each
};

struct GemmKernels {
  const char* isa;      // level the pointers came from
  int64_t panel_width;  // at most kMaxPanelWidth
  // Returns the size of a panel with its scales in bytes, a multiple of kPanelAlignment.
  size_t (*panel_bytes)(const WeightFormat& format, int64_t depth);
  void (*pack_panel)(const PackPanelArgs& args);
  // Computes y = x * transpose(weight) + bias, accumulated in float32, or in int32 if both are
  // integers. The accumulation order over depth does not depend on num_rows: one row multiplied
  // alone gives the bits it gives among many.
  void (*multiply)(const GemmArgs& args);
  // Returns the largest part of a product of `num_rows` rows that a core multiplies from its caches,
  // and how it takes its input; both counts are at least 1. Only an input that would be rounded to
  // bfloat16 may be taken as int16 or as kFloatRows.
  GemmTask (*largest_task)(const WeightFormat& format, Dtype x_dtype, int64_t depth,
                           int64_t num_rows);
  size_t scratch_bytes;  // of each thread; 0 if no task takes tiles
  // Writes a row to its places among the tiles; null if no task takes tiles.
  void (*arrange_row)(const ArrangeRowArgs& args);
};

struct NormArgs {
  const float* x;  // [num_rows, num_columns]
  int64_t x_stride;
  int64_t num_rows;
  int64_t num_columns;
  const float* weight;  // [num_columns]
  const float* bias;    // [num_columns] or null; read by layer_norm only
  float epsilon;
  float* y;  // [num_rows, num_columns]
  int64_t y_stride;
};

struct NormKernels {
  const char* isa;
  // y = weight * x / sqrt(mean(x^2) + epsilon); in place allowed.
  void (*rms_norm)(const NormArgs& args);
  // y += weight * x / sqrt(mean(x^2) + epsilon): the norm before a residual sum.
  void (*rms_norm_residual)(const NormArgs& args);
  // y = weight * (x - mean) / sqrt(variance + epsilon) + bias; in place allowed.
  void (*layer_norm)(const NormArgs& args);
};

struct GatedArgs {
  const float* x;  // [num_rows, 2 * width]
  int64_t x_stride;
  int64_t num_rows;
  int64_t width;
  float* y;  // [num_rows, width]
  int64_t y_stride;
};

// Kernel over `count` values; in place allowed.
using ElementwiseKernel = void (*)(const float* x, float* y, int64_t count);

struct AddScaledArgs {
  const float* x;  // [count]
  float scale;
  float* y;  // [count]
  int64_t count;
};

struct ActivationKernels {
  const char* isa;
  ElementwiseKernel silu;      // x * sigmoid(x)
  ElementwiseKernel gelu_erf;  // x * (1 + erf(x / sqrt(2))) / 2, the exact form
  ElementwiseKernel relu;
  ElementwiseKernel sigmoid;
  // y = silu(first half) * second half (gate first, up second); y may be the first half.
  void (*silu_mul)(const GatedArgs& args);
  // y = first half * sigmoid(second half).
  void (*glu)(const GatedArgs& args);
  // y += scale * x.
  void (*add_scaled)(const AddScaledArgs& args);
};

// Pair i of a head is rotated by the angle whose cosine and sine are at [row, i]; the same angles
// serve all heads of a row. Values beyond the 2 * num_pairs rotated ones are left as they are.
struct RopeArgs {
  float* x;            // [num_rows, num_heads, head_dim], rotated in place
  int64_t row_stride;  // between rows; heads of a row are dense
  int64_t num_rows;
  int64_t num_heads;
  int64_t head_dim;
  int64_t num_pairs;  // at most head_dim / 2
  const float* cos;   // [num_rows, num_pairs], dense
  const float* sin;   // [num_rows, num_pairs], dense
};

struct RopeKernels {
  const char* isa;
  // Rotates pairs of elements (2i, 2i + 1).
  void (*interleaved)(const RopeArgs& args);
  // Rotates pairs of elements (i, i + num_pairs).
  void (*halves)(const RopeArgs& args);
};

// Causal attention of consecutive queries of one sequence, for query heads that share one KV head.
// Key j of the sequence lies in block block_table[j / block_size] at offset j % block_size.
struct PagedAttentionArgs {
  const float* q;    // [num_queries, num_heads, head_dim]
  int64_t q_stride;  // between queries; heads are dense
  int64_t num_queries;
  int64_t num_heads;
  int64_t head_dim;        // at most kMaxHeadDim
  int64_t first_position;  // query i sees keys 0..first_position + i
  KvDtype kv_dtype;
  // This KV head in block 0: [num_blocks][block_size][head_dim], int8 as float32_to_uint8 writes it.
  const void* keys;
  const void* values;
  int64_t block_stride;  // between blocks
  int64_t token_stride;  // between tokens of a block
  int64_t block_size;
  // What the rows of an int8 cache are multiplied with: [num_blocks][block_size], this KV head.
  const float* key_scales = nullptr;
  const float* value_scales = nullptr;
  int64_t scale_stride = 0;    // between blocks
  const int32_t* block_table;  // [ceil((first_position + num_queries) / block_size)]
  float scale;  // positive
  float* out;   // [num_queries, num_heads, head_dim]
  int64_t out_stride;
  void* scratch = nullptr;  // scratch_bytes of the level, at a cache line
};

// Bidirectional attention of one head, with an optional term of relative position
// (Transformer-XL, https://arxiv.org/abs/1901.02860): score(i, j) = scale * (q_i . k_j + r_i . p(i
// - j)).
struct FullAttentionArgs {
  const float* q;  // [num_queries, head_dim]
  int64_t q_stride;
  int64_t num_queries;
  const float* keys;    // [num_keys, head_dim]
  const float* values;  // [num_keys, head_dim]
  int64_t kv_stride;    // of keys and of values
  int64_t num_keys;
  int64_t head_dim;  // at most kMaxHeadDim
  float scale;       // positive
  const float* relative_q;     // r: [num_queries, head_dim] at q_stride; null: no relative term
  const float* relative_keys;  // row of distance 0; p(d) is the row at relative_keys - d * stride
  int64_t relative_stride;
  int64_t first_query;  // position of query 0 among the keys, for the distance i - j
  // bfloat16: q, keys, values and probabilities may be rounded to it; float32: they are not.
  Dtype product_dtype = Dtype::kFloat32;
  float* out;           // [num_queries, head_dim]
  int64_t out_stride;
  void* scratch = nullptr;  // scratch_bytes of the level, at a cache line
};

// Softmax is kept online (https://arxiv.org/abs/1805.02867), so that no [queries, keys] matrix
// exists. Each query walks its keys from position 0 in blocks of fixed size; a key that it may not
// see never affects its result, even if the key is NaN. Over a cache that is not float32, q and the
// probabilities may be rounded: to bfloat16, or over int8 to integers, of 16 bits and, for the
// probabilities of a block, of 8. A value that is infinity or NaN may make all of a row NaN that sees it.
struct AttentionKernels {
  const char* isa;
  size_t scratch_bytes;  // memory that a call overwrites at args.scratch
  void (*paged)(const PagedAttentionArgs& args);
  void (*full)(const FullAttentionArgs& args);
};

// Channels-last convolution over time with stride 1; frames outside the input are zeros.
// y[t] = bias + sum over k of weight[k] * x[t - pad_left + k], each per channel.
struct DepthwiseConv1dArgs {
  const float* x;  // [num_frames, num_channels], dense
  int64_t num_frames;
  int64_t num_channels;
  const float* weight;  // [kernel_size, num_channels]
  int64_t kernel_size;
  int64_t pad_left;
  const float* bias;  // [num_channels] or null
  int64_t out_begin;  // frames out_begin..out_end - 1 are computed
  int64_t out_end;
  float* y;  // [output frames, num_channels], dense, from frame 0
};

// Channels-last convolution over a plane, square kernel, stride and padding.
struct DepthwiseConv2dArgs {
  const float* x;  // [height, width, num_channels], dense
  int64_t height;
  int64_t width;
  int64_t num_channels;
  const float* weight;  // [kernel_size, kernel_size, num_channels]
  int64_t kernel_size;
  int64_t stride;
  int64_t padding;
  const float* bias;  // [num_channels] or null
  int64_t out_width;
  int64_t out_begin;  // output rows out_begin..out_end - 1 are computed
  int64_t out_end;
  float* y;  // [output rows, out_width, num_channels], dense, from row 0
};

struct ConvolutionKernels {
  const char* isa;
  void (*depthwise_1d)(const DepthwiseConv1dArgs& args);
  void (*depthwise_2d)(const DepthwiseConv2dArgs& args);
};

// Kernels that convert `count` values. Narrowing rounds to nearest, ties to even; NaN stays NaN.
// The smallest and the largest of some numbers and 0; both NaN if a number is not finite.
struct FloatRange {
  float min;
  float max;
};

struct RoundArgs {
  const float* x;  // [count], finite
  float inverse;   // of the scale
  float smallest;  // at least -128
  float largest;   // at most 127
  int8_t* y;       // [count]
  int64_t count;
};

struct ConvertKernels {
  const char* isa;
  void (*float32_to_bfloat16)(const float* x, uint16_t* y, int64_t count);
  void (*round_to_bfloat16)(const float* x, float* y, int64_t count);  // which stays float32
  void (*float32_to_float16)(const float* x, uint16_t* y, int64_t count);
  void (*bfloat16_to_float32)(const uint16_t* x, float* y, int64_t count);
  void (*float16_to_float32)(const uint16_t* x, float* y, int64_t count);
  // Rounds a row to x / scale in -127..127 and returns the scale, max|x| / 127: the dynamic
  // symmetric quantization per token of compressed-tensors
  // (https://github.com/vllm-project/compressed-tensors). Adds 128 to each number, because
  // processors multiply unsigned bytes with signed ones. A row of zeros has the scale 0; one with
  // infinity or NaN has the scale NaN, so that its products are NaN.
  float (*float32_to_uint8)(const float* x, uint8_t* y, int64_t count);
  // Rounds a row to x / scale in -32767..32767 and returns the scale, max|x| / 32767; zeros, infinity
  // and NaN as in float32_to_uint8.
  float (*float32_to_int16)(const float* x, int16_t* y, int64_t count);
  FloatRange (*float32_range)(const float* x, int64_t count);
  // y = x * inverse to the nearest integer, ties to even, not beyond smallest and largest. |x *
  // inverse| is below 2^31. Every level gives the same integers.
  void (*float32_to_int8)(const RoundArgs& args);
};

// How logits become weights of a choice.
struct WeightParams {
  float max_logit;            // gets the weight 1
  float inverse_temperature;  // finite
};

struct LogitKernels {
  const char* isa;
  // Returns the index of the largest value, the lowest among equals; NaN is never chosen. Returns
  // -1 if no value is above minus infinity.
  int64_t (*argmax)(const float* x, int64_t count);
  // Returns log(sum(exp(x))) without overflow; minus infinity for an empty row.
  float (*log_sum_exp)(const float* x, int64_t count);
  // Returns the number of values greater than `threshold`.
  int64_t (*count_greater)(const float* x, int64_t count, float threshold);
  // Computes exp((x - max_logit) * inverse_temperature) in place, 0 for NaN; returns the sum.
  double (*weigh)(float* x, int64_t count, const WeightParams& params);
};

struct CpuKernels {
  GemmKernels gemm;
  NormKernels norm;
  ActivationKernels activation;
  RopeKernels rope;
  AttentionKernels attention;
  ConvolutionKernels convolution;
  ConvertKernels convert;
  LogitKernels logits;
  ImageKernels image;
};

// Each level overwrites the pointers it improves; the reference sets them all. dispatch.cc applies
// them in this order, up to the level the machine has.
void ApplyReference(CpuKernels& kernels);
void ApplyAvx2(CpuKernels& kernels);        // avx2, fma, f16c
void ApplyAvx512(CpuKernels& kernels);      // avx512 f, bw, dq, vl
void ApplyAvx512Vnni(CpuKernels& kernels);  // the folder avx512_vnni, within the level avx512
void ApplyAvx512Bf16(CpuKernels& kernels);  // the folder avx512_bf16, within the level avx512
void ApplyAmx(CpuKernels& kernels);         // amx tile, bf16, int8

}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_KERNELS_H_
