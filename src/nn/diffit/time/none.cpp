// Time does not enter the network, which therefore does not know the noise level.
#include "nn/diffit/time_conditioning.h"

namespace diffit::nn::time_variants {

extern constinit const TimeVariant none = time_variant<TimeConditioning>("none", TimeInAttention::none);

}  // namespace diffit::nn::time_variants
