// The table of the library's functions, its one symbol.
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/norm.cuh"

extern "C" __attribute__((visibility("default"))) const diffit::kernels::cuda::Functions* diffit_cuda_functions(
    int version) {
  using namespace diffit::kernels::cuda;
  static constexpr Functions functions{
      &takes_attention,     &attention_keeps_output, &attention_statistics, &attention_workspace,
      &attention_forward,   &attention_backward,     &takes_group_norm,     &group_norm_workspace,
      &group_norm_forward,  &group_norm_backward,    &takes_layer_norm,     &layer_norm_forward,
      &layer_norm_backward, &add_layer_norm,
  };
  return version == kFunctionsVersion ? &functions : nullptr;
}
