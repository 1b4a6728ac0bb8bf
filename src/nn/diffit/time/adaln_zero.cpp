// AdaLN-Zero of DiT: adaln with a gate on each branch, all of which start at 0.
#include "nn/diffit/time/modulation.h"

namespace diffit::nn::time_variants {

extern constinit const TimeVariant adaln_zero =
    time_variant<AdaptiveLayerNormTime</*kGates=*/true>>("adaln_zero", TimeInAttention::qkv);

}  // namespace diffit::nn::time_variants
