#include "base/status.h"

namespace autoglm {

const char* ReasonName(Reason reason) {
  switch (reason) {
    case Reason::kOk:
      return "OK";
    case Reason::kInvalidRequest:
      return "INVALID_REQUEST";
    case Reason::kUnsupported:
      return "UNSUPPORTED";
    case Reason::kInvalidCheckpoint:
      return "INVALID_CHECKPOINT";
    case Reason::kOutOfMemory:
      return "OUT_OF_MEMORY";
    case Reason::kEngineFailed:
      return "ENGINE_FAILED";
    case Reason::kEngineClosed:
      return "ENGINE_CLOSED";
  }
  return "ENGINE_FAILED";
}

}  // namespace autoglm
