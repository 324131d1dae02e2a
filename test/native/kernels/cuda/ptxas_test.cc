// What the assembler for GPUs says of the kernels, in reports that a build with a CUDA compiler
// leaves: see native/CMakeLists.txt.

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "doctest/doctest.h"

namespace autoglm {
namespace {

struct KernelReport {
  std::string kernel;  // as the linker knows it
  std::string architecture;
  std::string memory;  // "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads"
  int registers = 0;
};

std::vector<std::string> ReportPaths() {
  std::stringstream list(PTXAS_REPORTS);
  std::vector<std::string> paths;
  for (std::string path; std::getline(list, path, ':');) paths.push_back(path);
  return paths;
}

// Returns what stands between two texts, or "" if they are not there.
std::string Between(const std::string& line, const std::string& before, const std::string& after) {
  const size_t begin = line.find(before);
  if (begin == std::string::npos) return "";
  const size_t from = begin + before.size();
  return line.substr(from, line.find(after, from) - from);
}

std::vector<KernelReport> ReadReports(std::istream& file) {
  std::vector<KernelReport> reports;
  for (std::string line; std::getline(file, line);) {
    const std::string kernel = Between(line, "Compiling entry function '", "'");
    if (!kernel.empty()) reports.push_back({kernel, Between(line, "' for '", "'"), "", 0});
    if (reports.empty()) continue;
    if (line.find("stack frame") != std::string::npos) {
      reports.back().memory = line.substr(line.find_first_not_of(' '));
    }
    const std::string registers = Between(line, ": Used ", " registers");
    if (!registers.empty()) reports.back().registers = std::stoi(registers);
  }
  return reports;
}

TEST_CASE("A kernel keeps everything in registers on every GPU") {
  if (ReportPaths().empty()) MESSAGE("skipped: this build found no CUDA compiler");
  for (const std::string& path : ReportPaths()) {
    CAPTURE(path);
    std::ifstream file(path);
    REQUIRE_MESSAGE(file.good(), "the library of kernels for GPUs is not built: build all targets");
    const std::vector<KernelReport> reports = ReadReports(file);
    CHECK(!reports.empty());
    std::map<std::string, std::set<std::string>> kernels_of;
    for (const KernelReport& report : reports) {
      CAPTURE(report.kernel);
      CAPTURE(report.architecture);
      // No array in memory and no register that spills. Launch bounds are the compiler's limit, and
      // it would spill to keep them.
      CHECK_EQ(report.memory, "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads");
      CHECK(report.registers > 0);
      CHECK(report.registers < 256);
      kernels_of[report.architecture].insert(report.kernel);
    }
    for (const auto& [architecture, kernels] : kernels_of) {
      CAPTURE(architecture);
      CHECK_EQ(kernels, kernels_of.begin()->second);
    }
  }
}

TEST_CASE("A report of a kernel that spills is read as such") {
  std::stringstream report(
      "ptxas info    : Compiling entry function '_Z1k' for 'sm_80'\n"
      "ptxas info    : Function properties for _Z1k\n"
      "    16 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads\n"
      "ptxas info    : Used 255 registers, used 1 barriers, 416 bytes cmem[0]\n");

  const std::vector<KernelReport> reports = ReadReports(report);

  REQUIRE_EQ(reports.size(), 1);
  CHECK_EQ(reports[0].kernel, "_Z1k");
  CHECK_EQ(reports[0].architecture, "sm_80");
  CHECK_EQ(reports[0].memory, "16 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads");
  CHECK_EQ(reports[0].registers, 255);
}

}  // namespace
}  // namespace autoglm
