#ifndef AUTOGLM_MODEL_IMAGE_RESIZE_H_
#define AUTOGLM_MODEL_IMAGE_RESIZE_H_

#include <cstdint>
#include <vector>

#include "model/preprocess/image.h"

namespace autoglm {

// Resizes with Pillow's antialiased bicubic filter on 8-bit RGB, bit for bit: fixed-point weights,
// the horizontal pass rounded to 8 bits before the vertical one (Pillow 12,
// src/libImaging/Resample.c). Models are trained on pictures resized this way, and the coordinates
// that they answer depend on it.
std::vector<uint8_t> ResizeBicubic(const ImageView& image, const ImageSize& to,
                                   const ImageWorkers& workers);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_IMAGE_RESIZE_H_
