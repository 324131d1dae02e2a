#include <immintrin.h>

#include "kernels/avx512/vector.h"
#include "kernels/kernels.h"
#include "kernels/simd/gemm.h"

namespace autoglm::kernels {
namespace {

// Adds products of bfloat16 pairs in one instruction. It takes subnormal inputs as zero.
struct Avx512Bf16Vector : Avx512Vector {
  static constexpr bool kHasBfloat16Dot = true;

  // sum + a.low * b.low + a.high * b.high in each lane; b: one pair for all.
  static Float AddDots(Float sum, Pairs a, uint32_t b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a),
                            reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(b))));
  }
};

}  // namespace

void ApplyAvx512Bf16(CpuKernels& kernels) { kernels.gemm = Gemm<Avx512Bf16Vector>("avx512_bf16"); }

}  // namespace autoglm::kernels
