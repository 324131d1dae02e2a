#ifndef AUTOGLM_DEVICE_PIN_THREAD_H_
#define AUTOGLM_DEVICE_PIN_THREAD_H_

namespace autoglm {

// Binds the calling thread to a core. A refusal (a container that changed the set of cores
// meanwhile) costs speed, not correctness, and is not reported.
void PinCallingThread(int core);

}  // namespace autoglm

#endif  // AUTOGLM_DEVICE_PIN_THREAD_H_
