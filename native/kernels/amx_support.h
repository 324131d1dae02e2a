#ifndef AUTOGLM_KERNELS_AMX_SUPPORT_H_
#define AUTOGLM_KERNELS_AMX_SUPPORT_H_

namespace autoglm::kernels {

// Whether this process may use the tile registers of AMX, or the first thing that it lacks.
enum class AmxSupport {
  kAvailable,
  kNoInstructions,  // the processor has no amx_tile, amx_bf16 and amx_int8
  kNoTileState,     // the operating system does not save tile registers
  kNoPermission,    // the operating system refused this process
};

// Asks the processor, then the operating system, once per process. Linux lets a process use tiles
// only after a request, which covers all of its threads
// (https://docs.kernel.org/arch/x86/xstate.html).
AmxSupport RequestAmx();

// Returns what is missing as a clause for messages, such as "the processor has no ...".
const char* DescribeAmxSupport(AmxSupport support);

}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AMX_SUPPORT_H_
