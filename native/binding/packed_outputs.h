#ifndef AUTOGLM_BINDING_PACKED_OUTPUTS_H_
#define AUTOGLM_BINDING_PACKED_OUTPUTS_H_

#include "binding/object_reader.h"
#include "model/decoder/step_plan.h"

namespace autoglm::binding {

// Reads the PackedOutputs of native/packed-outputs.ts into the outputs of a plan.
void ReadPackedOutputs(const ObjectReader& object, StepPlan& plan);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_PACKED_OUTPUTS_H_
