#ifndef AUTOGLM_MODEL_PREPROCESSOR_CONFIG_H_
#define AUTOGLM_MODEL_PREPROCESSOR_CONFIG_H_

#include <string>

#include "base/status.h"
#include "model/encoder/encoder_config.h"

namespace autoglm {

// Completes `config`, whose tower has been read, from the processor's files in the directory, in the
// order of the reference implementation: the block of this modality in processor_config.json, else
// preprocessor_config.json, whose members are at the top or in a block. If there is neither, or a
// member is missing, the published processors' defaults are used.
Status ReadPreprocessorConfig(const std::string& directory, EncoderConfig& config);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_PREPROCESSOR_CONFIG_H_
