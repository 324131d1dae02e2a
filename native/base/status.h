#ifndef AUTOGLM_BASE_STATUS_H_
#define AUTOGLM_BASE_STATUS_H_

#include <optional>
#include <string>
#include <utility>

#include "base/check.h"

namespace autoglm {

// Reason why something was refused. Each value has one name in UPPER_SNAKE_CASE, the `reason` that
// TypeScript sees.
enum class Reason {
  kOk,
  kInvalidRequest,     // an argument is out of its range
  kUnsupported,        // well-formed, but this build or machine cannot do it
  kInvalidCheckpoint,  // a file of the model is missing, damaged or of another shape
  kOutOfMemory,        // the device has not enough free memory
  kEngineFailed,       // the operating system refused
  kEngineClosed,       // the decoder was closed before or during the call
};

const char* ReasonName(Reason reason);

// The outcome of an operation that can be refused; never an exception.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Reason reason, std::string message) : reason_(reason), message_(std::move(message)) {}

  bool ok() const { return reason_ == Reason::kOk; }
  Reason reason() const { return reason_; }
  const std::string& message() const { return message_; }

 private:
  Reason reason_ = Reason::kOk;
  std::string message_;
};

inline Status InvalidRequest(std::string message) {
  return Status(Reason::kInvalidRequest, std::move(message));
}
inline Status Unsupported(std::string message) {
  return Status(Reason::kUnsupported, std::move(message));
}
inline Status InvalidCheckpoint(std::string message) {
  return Status(Reason::kInvalidCheckpoint, std::move(message));
}
inline Status OutOfMemory(std::string message) {
  return Status(Reason::kOutOfMemory, std::move(message));
}
inline Status EngineFailed(std::string message) {
  return Status(Reason::kEngineFailed, std::move(message));
}

// A value, or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) { CHECK(!status_.ok()); }

  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }
  T& value() {
    CHECK(value_.has_value());
    return *value_;
  }
  const T& value() const {
    CHECK(value_.has_value());
    return *value_;
  }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace autoglm

#endif  // AUTOGLM_BASE_STATUS_H_
