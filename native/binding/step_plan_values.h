#ifndef AUTOGLM_BINDING_STEP_PLAN_VALUES_H_
#define AUTOGLM_BINDING_STEP_PLAN_VALUES_H_

#include <napi.h>

#include "binding/arrays.h"
#include "binding/object_reader.h"
#include "model/decoder/decoder.h"
#include "model/decoder/step_plan.h"

namespace autoglm::binding {

// Reads a plan. Its small arrays are copied; its media rows are read where they lie, and kept
// alive.
StepPlan ReadStepPlan(const ObjectReader& object, KeptArrays& kept);
TraceRequest ReadTraceRequest(const ObjectReader& object, KeptArrays& kept);

// Makes the StepResult of native/step-plan.ts.
Napi::Object MakeStepResult(Napi::Env env, const StepResult& result, int64_t idle_us);
// Makes the DecoderTrace of native/decoder-contract.ts.
Napi::Object MakeTrace(Napi::Env env, DecoderTrace& trace);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_STEP_PLAN_VALUES_H_
