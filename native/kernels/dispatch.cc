#include "kernels/dispatch.h"

#include <cstdlib>
#include <cstring>

#include "kernels/amx_support.h"

namespace autoglm::kernels {
namespace {

// The build defines AUTOGLM_HAS_<LEVEL> for each folder it compiled; the processor is asked with
// __builtin_cpu_supports, which also checks that the operating system saves the wide registers.
[[maybe_unused]] bool HasAvx2() {
#ifdef AUTOGLM_HAS_AVX2
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
#else
  return false;
#endif
}

[[maybe_unused]] bool HasAvx512() {
#ifdef AUTOGLM_HAS_AVX512
  return HasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

[[maybe_unused]] bool HasAvx512Vnni() {
#ifdef AUTOGLM_HAS_AVX512_VNNI
  return HasAvx512() && __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

[[maybe_unused]] bool HasAvx512Bf16() {
#ifdef AUTOGLM_HAS_AVX512_BF16
  return HasAvx512Vnni() && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

[[maybe_unused]] bool HasAmx() {
  return HasAvx512Bf16() && RequestAmx() == AmxSupport::kAvailable;
}

// Returns why a level is not among those that are available, after "is not available here".
std::string WhyMissing(IsaLevel level) {
  if (level != IsaLevel::kAmx || RequestAmx() == AmxSupport::kAvailable) return "";
  return std::string(": ") + DescribeAmxSupport(RequestAmx());
}

}  // namespace

const char* IsaName(IsaLevel level) {
  switch (level) {
    case IsaLevel::kReference:
      return "reference";
    case IsaLevel::kAvx2:
      return "avx2";
    case IsaLevel::kAvx512:
      return "avx512";
    case IsaLevel::kAmx:
      return "amx";
  }
  return "unknown";
}

std::vector<KernelLevel> SupportedLevels() {
  std::vector<KernelLevel> levels;
  CpuKernels kernels = {};
  ApplyReference(kernels);
  levels.push_back({IsaLevel::kReference, kernels});
#ifdef AUTOGLM_HAS_AVX2
  if (HasAvx2()) {
    ApplyAvx2(kernels);
    levels.push_back({IsaLevel::kAvx2, kernels});
  }
#endif
#ifdef AUTOGLM_HAS_AVX512
  if (HasAvx512()) {
    ApplyAvx512(kernels);
#ifdef AUTOGLM_HAS_AVX512_VNNI
    if (HasAvx512Vnni()) ApplyAvx512Vnni(kernels);
#endif
#ifdef AUTOGLM_HAS_AVX512_BF16
    if (HasAvx512Bf16()) ApplyAvx512Bf16(kernels);
#endif
    levels.push_back({IsaLevel::kAvx512, kernels});
  }
#endif
#ifdef AUTOGLM_HAS_AMX
  if (HasAmx()) {
    ApplyAmx(kernels);
    levels.push_back({IsaLevel::kAmx, kernels});
  }
#endif
  return levels;
}

Result<KernelChoice> ChooseKernels(const char* cap) {
  const std::vector<KernelLevel> levels = SupportedLevels();
  KernelChoice choice = {levels.back(), {}, "best supported"};
  std::string names;
  for (const KernelLevel& level : levels) {
    choice.supported.push_back(level.level);
    names += names.empty() ? IsaName(level.level) : std::string(", ") + IsaName(level.level);
  }
  if (cap == nullptr || *cap == '\0') return choice;

  for (const KernelLevel& level : levels) {
    if (std::strcmp(cap, IsaName(level.level)) != 0) continue;
    choice.chosen = level;
    choice.reason = std::string("AUTOGLM_ISA=") + cap;
    return choice;
  }
  for (const IsaLevel level : {IsaLevel::kAvx2, IsaLevel::kAvx512, IsaLevel::kAmx}) {
    if (std::strcmp(cap, IsaName(level)) != 0) continue;
    return Unsupported(std::string("AUTOGLM_ISA=") + cap +
                       " is not available here" + WhyMissing(level) + "; available: " + names);
  }
  return InvalidRequest(std::string("AUTOGLM_ISA=") + cap +
                        " is not a level; levels: reference, avx2, avx512, amx");
}

const Result<KernelChoice>& ActiveKernels() {
  static const Result<KernelChoice> active = ChooseKernels(std::getenv("AUTOGLM_ISA"));
  return active;
}

}  // namespace autoglm::kernels
