#ifndef AUTOGLM_KERNELS_SAMPLING_PHILOX_H_
#define AUTOGLM_KERNELS_SAMPLING_PHILOX_H_

#include <array>
#include <cstdint>

namespace autoglm {

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011,
// https://doi.org/10.1145/2063384.2063405): returns random bits that depend on counter and key
// alone, so that a stream can be resumed anywhere.
std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_SAMPLING_PHILOX_H_
