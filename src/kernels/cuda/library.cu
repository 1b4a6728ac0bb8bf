// The table of the library's functions, its one symbol.
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/column_sum.cuh"
#include "kernels/cuda/noise.cuh"
#include "kernels/cuda/norm.cuh"
#include "kernels/cuda/optimizer.cuh"

extern "C" __attribute__((visibility("default"))) const diffit::kernels::cuda::Functions*
diffit_cuda_functions(int version) {
  using namespace diffit::kernels::cuda;
  static constexpr Functions functions{
      &takes_attention,
      &attention_keeps_output,
      &attention_statistics,
      &attention_workspace,
      &attention_forward,
      &attention_backward,
      &takes_group_norm,
      &group_norm_workspace,
      &group_norm_forward,
      &group_norm_backward,
      &takes_layer_norm,
      &layer_norm_forward,
      &layer_norm_backward,
      &add_layer_norm,
      &takes_residual_norm,
      &residual_norm_forward,
      &residual_norm_backward,
      &takes_column_sum,
      &column_sum_workspace,
      &column_sum,
      &fill_noise,
      &optimizer_workspace,
      &optimizer_update,
  };
  return version == kFunctionsVersion ? &functions : nullptr;
}
