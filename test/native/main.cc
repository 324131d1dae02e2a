#define DOCTEST_CONFIG_IMPLEMENT
#include <cstdio>

#include "doctest/doctest.h"

namespace {

unsigned num_passed = 0;
unsigned num_failed = 0;

struct TotalReporter final : doctest::IReporter {
  explicit TotalReporter(const doctest::ContextOptions&) {}

  void test_run_end(const doctest::TestRunStats& stats) override {
    num_failed = stats.numTestCasesFailed;
    num_passed = stats.numTestCasesPassingFilters - stats.numTestCasesFailed;
  }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

REGISTER_LISTENER("total", 1, TotalReporter);

}  // namespace

// Runs the tests and ends with one line that a program can read.
int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  const int status = context.run();
  if (context.shouldExit()) return status;
  std::printf("%u passed, %u failed\n", num_passed, num_failed);
  // A filter that finds nothing is a mistake, not a success.
  return num_passed + num_failed == 0 ? 1 : status;
}
