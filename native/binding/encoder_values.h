#ifndef AUTOGLM_BINDING_ENCODER_VALUES_H_
#define AUTOGLM_BINDING_ENCODER_VALUES_H_

#include <napi.h>

#include "base/status.h"
#include "binding/arrays.h"
#include "binding/object_reader.h"
#include "model/encoder/encoder.h"

namespace autoglm::binding {

// The types of native/encoder.ts that these names have.
EncoderOptions ReadEncoderOptions(const ObjectReader& object, Status& status);
ItemFacts ReadItemFacts(const ObjectReader& object, Status& status);
// Pixels and samples are read where they lie and kept alive.
MediaItem ReadMediaItem(const ObjectReader& object, KeptArrays& kept, Status& status);

Napi::Object MakeEncoderDescription(Napi::Env env, const EncoderDescription& description);
Napi::Object MakeItemPlan(Napi::Env env, const ItemPlan& plan);
Napi::Object MakeEncodedItem(Napi::Env env, EncodedItem& encoded);
Napi::Object MakeEncoderTrace(Napi::Env env, EncoderTrace& trace);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_ENCODER_VALUES_H_
