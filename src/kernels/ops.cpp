#include "kernels/ops.h"

#include <atomic>
#include <cstdlib>
#include <string_view>

#include "kernels/pch.h"

namespace diffit {
namespace {

std::atomic<bool>& fast_kernels_switch() {
  static std::atomic<bool> on = [] {
    const char* wanted = std::getenv("DIFFIT_KERNELS");
    return wanted == nullptr || std::string_view(wanted) != "definition";
  }();
  return on;
}

}  // namespace

using at::Tensor;

void use_fast_kernels(bool on) {
  fast_kernels_switch() = on;
}
bool fast_kernels() {
  return fast_kernels_switch();
}
const char* cpu_kernel_target() {
  return "definition";
}

Tensor tmsa_attention(const Tensor& qkv, const Tensor& qkv_t, const Tensor& table, std::int64_t heads,
                      std::int64_t window) {
  return definition::tmsa_attention(qkv, qkv_t, table, heads, window);
}

Tensor layer_norm(const Tensor& x, double eps) {
  return definition::layer_norm(x, eps);
}

Tensor gelu_tanh(const Tensor& x) {
  return definition::gelu_tanh(x);
}

Tensor group_norm(const Tensor& x, std::int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                  bool silu) {
  return definition::group_norm(x, groups, weight, bias, eps, silu);
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return definition::linear(x, weight, bias);
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, std::int64_t stride) {
  return definition::conv2d(x, weight, bias, stride);
}

Tensor upsample2(const Tensor& x) {
  return definition::upsample2(x);
}

}  // namespace diffit
