#include "device/pin_thread.h"

#include <pthread.h>
#include <sched.h>

namespace autoglm {

void PinCallingThread(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

}  // namespace autoglm
