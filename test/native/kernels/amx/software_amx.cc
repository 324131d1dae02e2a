#include "software_amx.h"

#include "software_tiles.h"
#include "kernels/amx/tile_attention.h"
#include "kernels/amx/tile_gemm.h"
#include "kernels/avx512/vector.h"

namespace autoglm::kernels {

void ApplySoftwareAmx(CpuKernels& kernels) {
  kernels.gemm = TileGemm<Avx512Vector, SoftwareTiles>("amx on software tiles");
  kernels.attention = TileAttention<Avx512Vector, SoftwareTiles>("amx on software tiles");
}

}  // namespace autoglm::kernels
