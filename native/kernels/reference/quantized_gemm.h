#ifndef AUTOGLM_KERNELS_REFERENCE_QUANTIZED_GEMM_H_
#define AUTOGLM_KERNELS_REFERENCE_QUANTIZED_GEMM_H_

#include "kernels/kernels.h"

// Products with weights of integers, for the table of gemm.cc.
namespace autoglm::kernels::reference {

// Output columns of a panel of any format.
inline constexpr int64_t kPanelWidth = 16;

size_t QuantizedPanelBytes(const WeightFormat& format, int64_t depth);
void PackQuantizedPanel(const PackPanelArgs& args);
void MultiplyQuantized(const GemmArgs& args);

}  // namespace autoglm::kernels::reference

#endif  // AUTOGLM_KERNELS_REFERENCE_QUANTIZED_GEMM_H_
