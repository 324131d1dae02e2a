#ifndef AUTOGLM_DEVICE_PIN_THREAD_H_
#define AUTOGLM_DEVICE_PIN_THREAD_H_

namespace autoglm {

// Binds the calling thread to a core. A refusal (the container's set of cores may have changed
// meanwhile) costs speed, not correctness, and is not reported.
void PinCallingThread(int core);

}  // namespace autoglm

#endif  // AUTOGLM_DEVICE_PIN_THREAD_H_
