#ifndef AUTOGLM_BASE_CHECKSUM_H_
#define AUTOGLM_BASE_CHECKSUM_H_

#include <cstddef>
#include <cstdint>

namespace autoglm {

// Returns XXH64 with the seed 0 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md):
// it tells damage, not intent, at the speed of memory.
uint64_t Checksum(const void* data, size_t bytes);

}  // namespace autoglm

#endif  // AUTOGLM_BASE_CHECKSUM_H_
