#include "kernels/device_noise.h"

#include <c10/core/DeviceGuard.h>

#include "kernels/cuda_backend.h"
#include "kernels/ops.h"
#include "runtime/pch.h"

namespace diffit::kernels {

bool has_device_noise(at::Device device) {
  return fast_kernels() && (device.is_cuda() || emulates_cuda()) && cuda_functions() != nullptr;
}

at::Tensor device_noise(at::IntArrayRef shape, std::uint64_t seed, Purpose purpose, const at::Tensor& first,
                        const at::Tensor& scale, DrawnBefore before) {
  const c10::DeviceGuard guard(scale.device());
  const at::Tensor numbers = at::empty(shape, scale.options());
  if (numbers.numel() == 0) return numbers;
  cuda::Noise noise{};
  noise.numbers = numbers.numel() / shape[0];
  noise.rows = static_cast<std::int32_t>(shape[0]);
  noise.seed = seed;
  noise.stream = stream_of(purpose);
  noise.word = before == DrawnBefore::uniform ? 1 : 0;
  noise.shift = before == DrawnBefore::normal ? 1 : 0;
  check_cuda(
      cuda_functions()->fill_noise(noise, first.const_data_ptr<std::int64_t>(), scale.const_data_ptr<float>(),
                                   numbers.mutable_data_ptr<float>(), cuda_stream(scale)),
      "noise");
  return numbers;
}

}  // namespace diffit::kernels
