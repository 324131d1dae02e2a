#include "kernels/dispatch.h"

#include <algorithm>

#include "doctest/doctest.h"
#include "kernels/amx_support.h"

namespace autoglm::kernels {
namespace {

TEST_CASE("Without a cap the best supported level is chosen") {
  const Result<KernelChoice> choice = ChooseKernels(nullptr);

  REQUIRE(choice.ok());
  CHECK_EQ(choice.value().reason, "best supported");
  CHECK_EQ(choice.value().chosen.level, choice.value().supported.back());
  CHECK_EQ(choice.value().supported.front(), IsaLevel::kReference);
}

TEST_CASE("Each supported level can be asked for by name") {
  for (const KernelLevel& level : SupportedLevels()) {
    const std::string name = IsaName(level.level);
    CAPTURE(name);

    const Result<KernelChoice> choice = ChooseKernels(name.c_str());

    REQUIRE(choice.ok());
    CHECK_EQ(choice.value().chosen.level, level.level);
    CHECK_EQ(choice.value().reason, "AUTOGLM_ISA=" + name);
  }
}

TEST_CASE("A level that does not exist is refused with those that do") {
  const Result<KernelChoice> choice = ChooseKernels("avx1024");

  REQUIRE_FALSE(choice.ok());
  CHECK_EQ(choice.status().reason(), Reason::kInvalidRequest);
  CHECK_NE(choice.status().message().find("reference, avx2, avx512, amx"), std::string::npos);
}

TEST_CASE("A level this machine lacks is refused, never replaced") {
  for (const IsaLevel level : {IsaLevel::kAvx2, IsaLevel::kAvx512, IsaLevel::kAmx}) {
    const std::string name = IsaName(level);
    CAPTURE(name);
    const std::vector<IsaLevel> supported = ChooseKernels(nullptr).value().supported;
    const bool is_supported =
        std::find(supported.begin(), supported.end(), level) != supported.end();

    const Result<KernelChoice> choice = ChooseKernels(name.c_str());

    CHECK_EQ(choice.ok(), is_supported);
    if (is_supported) continue;
    CHECK_EQ(choice.status().reason(), Reason::kUnsupported);
    if (level != IsaLevel::kAmx) continue;
    CHECK_NE(choice.status().message().find(DescribeAmxSupport(RequestAmx())), std::string::npos);
  }
}

}  // namespace
}  // namespace autoglm::kernels
