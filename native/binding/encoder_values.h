#ifndef AUTOGLM_BINDING_ENCODER_VALUES_H_
#define AUTOGLM_BINDING_ENCODER_VALUES_H_

#include <napi.h>

#include "base/status.h"
#include "binding/arrays.h"
#include "binding/object_reader.h"
#include "model/encoder/encoder.h"

namespace autoglm::binding {

// Each function reads or makes the type of native/encoder-contract.ts that its name ends in.
EncoderOptions ReadEncoderOptions(const ObjectReader& object, Status& status);
ItemFacts ReadItemFacts(const ObjectReader& object, Status& status);
// Reads an item. Its pixels or samples are not copied: they are read where they lie, and kept
// alive.
MediaItem ReadMediaItem(const ObjectReader& object, KeptArrays& kept, Status& status);

Napi::Object MakeEncoderDescription(Napi::Env env, const EncoderDescription& description);
Napi::Object MakeItemPlan(Napi::Env env, const ItemPlan& plan);
Napi::Object MakeEncodedItem(Napi::Env env, EncodedItem& encoded);
Napi::Object MakeHostRows(Napi::Env env, EncodedItem& encoded);
Napi::Object MakeEncoderTrace(Napi::Env env, EncoderTrace& trace);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_ENCODER_VALUES_H_
