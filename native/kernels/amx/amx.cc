#include "kernels/amx/tile_attention.h"
#include "kernels/amx/tile_gemm.h"
#include "kernels/amx/tiles.h"
#include "kernels/avx512_bf16/vector.h"
#include "kernels/kernels.h"

namespace autoglm::kernels {

void ApplyAmx(CpuKernels& kernels) {
  kernels.gemm = TileGemm<Avx512Bf16Vector, AmxTiles>("amx");
  kernels.attention = TileAttention<Avx512Bf16Vector, AmxTiles>("amx");
}

}  // namespace autoglm::kernels
