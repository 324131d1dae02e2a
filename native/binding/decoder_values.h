#ifndef AUTOGLM_BINDING_DECODER_VALUES_H_
#define AUTOGLM_BINDING_DECODER_VALUES_H_

#include <napi.h>

#include "base/status.h"
#include "binding/object_reader.h"
#include "model/decoder/decoder.h"

namespace autoglm::binding {

// Reads the DecoderOptions of native/decoder-contract.ts.
DecoderOptions ReadDecoderOptions(const ObjectReader& object, Status& status);

// Makes the DecoderDescription of native/decoder-contract.ts.
Napi::Object MakeDescription(Napi::Env env, const DecoderDescription& description);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_DECODER_VALUES_H_
