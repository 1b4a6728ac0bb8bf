#include "kernels/device.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>

#include <filesystem>

#include "base/error.h"
#include "base/text.h"

namespace diffit {

namespace {

/// Registers LibTorch's CUDA backend; an empty text, or why it cannot be.
std::string open_cuda() {
  if (!at::hasCUDA() && dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return "LibTorch's CUDA libraries are not installed beside this program";
  }
  if (!at::hasCUDA()) return "LibTorch's CUDA backend finds no driver";
  return at::detail::getCUDAHooks().deviceCount() > 0 ? "" : "no GPU is to be seen";
}

}  // namespace

at::Device open_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  if (name == "auto") {
    const bool gpu = std::filesystem::exists("/dev/nvidiactl");
    return gpu && open_cuda().empty() ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  }
  const bool numbered = name.starts_with("cuda:");
  DIFFIT_CHECK(name == "cuda" || numbered, "--device: wanted auto, cpu, cuda or cuda:i, got '{}'", name);
  const std::int64_t index = numbered ? parse_int(name.substr(5), "--device cuda:i") : 0;
  const std::string reason = open_cuda();
  DIFFIT_CHECK(reason.empty(), "--device {}: {}; use --device cpu", name, reason);
  const std::int64_t count = at::detail::getCUDAHooks().deviceCount();
  DIFFIT_CHECK(index >= 0 && index < count, "--device {}: there are {} GPUs", name, count);
  return {at::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

at::ScalarType open_dtype(const std::string& name, at::Device device, bool prefer_bf16) {
  if (name == "f32") return at::kFloat;
  if (name == "bf16") return at::kBFloat16;
  DIFFIT_CHECK(name == "auto", "--dtype: wanted auto, f32 or bf16, got '{}'", name);
#if defined(__x86_64__)
  const bool native = device.is_cuda() || __builtin_cpu_supports("avx512bf16");
#else
  const bool native = device.is_cuda();
#endif
  return prefer_bf16 && native ? at::kBFloat16 : at::kFloat;
}

}  // namespace diffit
