// AdaLN of DiT: scale and shift of both branches come from SiLU(x_t) W.
#include "nn/diffit/time/modulation.h"

namespace diffit::nn::time_variants {

extern constinit const TimeVariant adaln =
    time_variant<AdaptiveLayerNormTime</*kGates=*/false>>("adaln", TimeInAttention::qkv);

}  // namespace diffit::nn::time_variants
