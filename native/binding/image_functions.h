#ifndef AUTOGLM_BINDING_IMAGE_FUNCTIONS_H_
#define AUTOGLM_BINDING_IMAGE_FUNCTIONS_H_

#include <napi.h>

namespace autoglm::binding {

// Implements resizeImage(request): returns a promise of the RGB bytes of the resized picture.
Napi::Value ResizeImage(const Napi::CallbackInfo& info);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_IMAGE_FUNCTIONS_H_
