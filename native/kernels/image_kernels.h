#ifndef AUTOGLM_KERNELS_IMAGE_KERNELS_H_
#define AUTOGLM_KERNELS_IMAGE_KERNELS_H_

#include <cstdint>

// What a core of the host computes of a picture before a device sees it, whatever kind of device that
// is: integers, the same at every level. Pixels are three bytes: red, green, blue.

namespace autoglm::kernels {

// A weight is high * 2^kLowWeightBits + low, an integer of kWeightFractionBits fractional bits: 32 bits
// less 8 of a pixel and 2 of headroom. So processors that multiply pairs of int16 get all of its bits.
inline constexpr int kWeightFractionBits = 32 - 8 - 2;
inline constexpr int kLowWeightBits = 11;

// Weights of consecutive positions of an axis, which stand at a multiple of this many; zeros follow up to
// the next, and of an output pixel up to the weights of the next pixel.
inline constexpr int64_t kWeightsAtOnce = 4;

struct ResizeWeights {
  const int16_t* high;
  const int16_t* low;  // 0..2^kLowWeightBits - 1
};

struct ResizeRowsArgs {
  const uint8_t* in;  // [num_rows, in_width, 3], dense
  int64_t in_width;
  int64_t num_rows;
  int64_t out_width;
  const int64_t* first;   // [out_width]: first input pixel of each output pixel
  const int64_t* taps;    // [out_width]: number of input pixels
  ResizeWeights weights;  // [out_width, weight_stride]
  int64_t weight_stride;  // the most taps, rounded up to a multiple of kWeightsAtOnce: a kernel may
                          // take so many steps for each pixel
  uint8_t* out;           // [num_rows, out_width, 3], dense
};

struct BlendRowsArgs {
  const uint8_t* rows;  // [num_rows, row_bytes], dense
  int64_t num_rows;
  int64_t row_bytes;
  ResizeWeights weights;  // [num_rows]
  uint8_t* out;           // [row_bytes]
};

// Sums of bytes times weights, which fit int32, rounded to the nearest byte, halves up.
struct ImageKernels {
  const char* isa;  // level the pointers came from
  // Makes each pixel of a row of consecutive pixels of that row.
  void (*resize_rows)(const ResizeRowsArgs& args);
  // Makes each byte of a row of the bytes at its place in consecutive rows.
  void (*blend_rows)(const BlendRowsArgs& args);
};

}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_IMAGE_KERNELS_H_
