#ifndef AUTOGLM_TEST_NATIVE_EMULATED_GPU_PLANNED_FAULTS_H_
#define AUTOGLM_TEST_NATIVE_EMULATED_GPU_PLANNED_FAULTS_H_

#include "kernels/ops.h"

namespace autoglm {

// Returns the operations of an emulated GPU, which fail once when a test plans it: the file that
// EMULATED_GPU_FAULT names then holds a fault and the number of a GPU, or "any", as in "failure 1". Of
// all processes one takes the fault, and the file with it.
//   out-of-memory N  memory of sampling is lost, and there is no other for the step
//   late N           a kernel that meets other GPUs comes when they have given up waiting for it
//   failure N        a kernel fails, and with it the GPU for good
//   unwritten N      memory is read that nobody wrote, which the emulator reports
const Ops& WithPlannedFaults(const Ops& ops);

}  // namespace autoglm

#endif  // AUTOGLM_TEST_NATIVE_EMULATED_GPU_PLANNED_FAULTS_H_
