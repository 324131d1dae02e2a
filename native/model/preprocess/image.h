#ifndef AUTOGLM_MODEL_IMAGE_H_
#define AUTOGLM_MODEL_IMAGE_H_

#include <cstdint>

#include "device/thread_pool.h"
#include "kernels/image_kernels.h"

namespace autoglm {

// Extent of a picture in pixels.
struct ImageSize {
  int64_t height = 0;
  int64_t width = 0;

  bool operator==(const ImageSize&) const = default;
};

// A decoded picture; the caller keeps the pixels alive.
struct ImageView {
  const uint8_t* rgb = nullptr;  // [height, width, 3]
  ImageSize size;
};

inline constexpr int64_t kNumImageChannels = 3;

// Threads of the host, and what one of them computes of a picture.
struct ImageWorkers {
  ThreadPool& threads;
  const kernels::ImageKernels& kernels;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_IMAGE_H_
