// Eight neighbouring numbers of a tensor at a time, in float32.
#pragma once

#include "kernels/cuda/device.cuh"

namespace diffit::kernels::cuda {

constexpr int kVector = 8;

struct Float8 {
  float v[kVector];
};

DIFFIT_DEVICE Float8 load8(const float* from) {
  const float4 a = *reinterpret_cast<const float4*>(from), b = *reinterpret_cast<const float4*>(from + 4);
  return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}
DIFFIT_DEVICE Float8 load8(const bf16* from) {
  const uint4 a = *reinterpret_cast<const uint4*>(from);
  return {{low(a.x), high(a.x), low(a.y), high(a.y), low(a.z), high(a.z), low(a.w), high(a.w)}};
}
DIFFIT_DEVICE void store8(float* to, const Float8& x) {
  *reinterpret_cast<float4*>(to) = float4{x.v[0], x.v[1], x.v[2], x.v[3]};
  *reinterpret_cast<float4*>(to + 4) = float4{x.v[4], x.v[5], x.v[6], x.v[7]};
}
DIFFIT_DEVICE void store8(bf16* to, const Float8& x) {
  *reinterpret_cast<uint4*>(to) =
      uint4{pack(x.v[0], x.v[1]), pack(x.v[2], x.v[3]), pack(x.v[4], x.v[5]), pack(x.v[6], x.v[7])};
}

DIFFIT_DEVICE float value_of(float x) {
  return x;
}
DIFFIT_DEVICE float value_of(bf16 x) {
  return low(x);
}

DIFFIT_DEVICE float warp_sum(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += shuffle_xor(x, step);
  return x;
}

/// Calls function with a null pointer to the element's storage type.
template <class Function>
auto with_element(Element element, const Function& function) {
  if (element == Element::float32) return function(static_cast<float*>(nullptr));
  return function(static_cast<bf16*>(nullptr));
}

}  // namespace diffit::kernels::cuda
