#ifndef AUTOGLM_MODEL_PREPROCESSOR_CONFIG_H_
#define AUTOGLM_MODEL_PREPROCESSOR_CONFIG_H_

#include <string>

#include "base/status.h"
#include "model/encoder/encoder_config.h"

namespace autoglm {

// Completes `config`, whose tower has been read, from DIRECTORY/preprocessor_config.json. If the
// file or a member is missing, the published processors' defaults are used. The members of the
// image processor and of the feature extractor are at the top or in a block of that name.
Status ReadPreprocessorConfig(const std::string& directory, EncoderConfig& config);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_PREPROCESSOR_CONFIG_H_
