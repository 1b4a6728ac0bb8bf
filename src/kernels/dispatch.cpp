#include "kernels/dispatch.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string_view>

#include "kernels/backend.h"
#include "kernels/cpu/info.h"
#include "kernels/cuda_backend.h"
#include "kernels/ops.h"
#include "runtime/pch.h"

namespace diffit::kernels {
namespace {

std::atomic<bool>& fast_kernels_switch() {
  static std::atomic<bool> on = [] {
    const char* wanted = std::getenv("DIFFIT_KERNELS");
    return wanted == nullptr || std::string_view(wanted) != "definition";
  }();
  return on;
}

}  // namespace

void use_fast_kernels(bool on) {
  fast_kernels_switch() = on;
}
bool fast_kernels() {
  return fast_kernels_switch();
}
const char* cpu_kernel_target() {
  return cpu::target_name();
}

bool takes_cpu_kernel(const at::Tensor& x) {
  return fast_kernels() && x.is_cpu() &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) && cpu::has_vector_target();
}

const Backend* backend_of(const at::Tensor& x) {
  if (x.is_cuda() || (emulates_cuda() && x.is_cpu())) return cuda_backend();
  return x.is_cpu() ? &cpu_backend() : nullptr;
}

bool onednn_takes(at::ScalarType type) {
  static const bool takes_bfloat16 = [] {
    const auto asked = c10::Dispatcher::singleton().findSchema({"mkldnn::_is_mkldnn_bf16_supported", ""});
    return asked.has_value() && asked->typed<bool()>().call();
  }();
  return at::globalContext().hasMKLDNN() && (type == at::kFloat || (type == at::kBFloat16 && takes_bfloat16));
}

bool needs_grad(std::initializer_list<at::Tensor> tensors) {
  return at::GradMode::is_enabled() && std::any_of(tensors.begin(), tensors.end(), [](const at::Tensor& x) {
           return x.defined() && x.requires_grad();
         });
}

std::optional<at::Tensor> optional(const at::Tensor& x) {
  return x.defined() ? std::optional<at::Tensor>(x) : std::nullopt;
}

cpu::Element element_of(const at::Tensor& x) {
  return x.scalar_type() == at::kFloat ? cpu::Element::float32 : cpu::Element::bfloat16;
}

}  // namespace diffit::kernels
