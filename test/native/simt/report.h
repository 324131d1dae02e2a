#ifndef AUTOGLM_TEST_NATIVE_SIMT_REPORT_H_
#define AUTOGLM_TEST_NATIVE_SIMT_REPORT_H_

#include <string>
#include <vector>

namespace autoglm::simt {

// What the emulator finds wrong with a kernel, or with the host's use of device memory.
enum class Fault {
  kOutOfBounds,       // an access outside what was allocated, or of memory that is not a GPU's
  kNeverWritten,      // a read of memory that nobody wrote
  kInFlight,          // an access of what an asynchronous copy still writes
  kRace,              // two threads' accesses, one of them a write, without a barrier between
  kDivergentBarrier,  // threads that wait where others of their warp or block never come
  kMisaligned,        // an access at an address that is no multiple of its size
  kLaunch,            // a launch that no GPU would take
};

const char* FaultName(Fault fault);

struct Report {
  Fault fault;
  std::string text;
};

// While one exists, faults are kept here, and the launch or copy that has one is given up. Without
// one a fault prints its report and ends the process: no test passes over it.
class ReportCollector {
 public:
  ReportCollector();
  ~ReportCollector();
  ReportCollector(const ReportCollector&) = delete;
  ReportCollector& operator=(const ReportCollector&) = delete;

  const std::vector<Report>& reports() const { return reports_; }

 private:
  friend void AddReport(Fault fault, const std::string& text);

  std::vector<Report> reports_;
  ReportCollector* const outer_;
};

// Adds a report to the innermost collector.
void AddReport(Fault fault, const std::string& text);

}  // namespace autoglm::simt

#endif  // AUTOGLM_TEST_NATIVE_SIMT_REPORT_H_
