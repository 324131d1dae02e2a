#include "simt/report.h"

#include <cstdio>
#include <cstdlib>

namespace autoglm::simt {
namespace {

ReportCollector* innermost = nullptr;

}  // namespace

const char* FaultName(Fault fault) {
  switch (fault) {
    case Fault::kOutOfBounds:
      return "out of bounds";
    case Fault::kNeverWritten:
      return "read of memory that nobody wrote";
    case Fault::kInFlight:
      return "access of what an asynchronous copy still writes";
    case Fault::kRace:
      return "race";
    case Fault::kDivergentBarrier:
      return "divergent barrier";
    case Fault::kMisaligned:
      return "misaligned access";
    case Fault::kLaunch:
      return "impossible launch";
  }
  return "unknown";
}

ReportCollector::ReportCollector() : outer_(innermost) { innermost = this; }

ReportCollector::~ReportCollector() { innermost = outer_; }

void AddReport(Fault fault, const std::string& text) {
  if (innermost != nullptr) {
    innermost->reports_.push_back({fault, text});
    return;
  }
  std::fprintf(stderr, "SIMT emulator: %s: %s\n", FaultName(fault), text.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace autoglm::simt
