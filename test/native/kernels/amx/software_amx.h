#ifndef AUTOGLM_TEST_NATIVE_SOFTWARE_AMX_H_
#define AUTOGLM_TEST_NATIVE_SOFTWARE_AMX_H_

#include "kernels/kernels.h"

namespace autoglm::kernels {

// Overwrites the kernels that the level amx has, on tiles of software. The processor needs AVX-512.
void ApplySoftwareAmx(CpuKernels& kernels);

}  // namespace autoglm::kernels

#endif  // AUTOGLM_TEST_NATIVE_SOFTWARE_AMX_H_
