#include "runtime/device.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "runtime/gpu_probe.h"

namespace diffit::runtime {
namespace {

/// The oldest compute capability that bfloat16 matrix units have.
constexpr int kOldestMajor = 8;

/// Keeps LibTorch's warnings, which would otherwise be printed.
class WarningText : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override {
    std::string text = warning.msg();
    std::replace(text.begin(), text.end(), '\n', ' ');
    text_ += (text_.empty() ? "" : "; ") + text;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

bool is_on(const char* variable, bool otherwise) {
  const char* value = std::getenv(variable);
  if (value == nullptr || *value == '\0') return otherwise;
  const std::string_view text = value;
  DIFFIT_CHECK(text == "on" || text == "off", "{}: wanted on or off, got '{}'", variable, text);
  return text == "on";
}

/// Loads LibTorch's CUDA backend: an empty text, or why it cannot be.
std::string load_backend() {
  // hasCUDA() must not be asked before the library is loaded: LibTorch keeps its first answer.
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* error = dlerror();
    const std::string text = error == nullptr ? "" : error;
    if (text.starts_with("libtorch_cuda.so: cannot open shared object file"))
      return "LibTorch's CUDA libraries are not installed (./dev setup --cuda installs them)";
    return "LibTorch's CUDA libraries cannot be loaded: " + text;
  }
  WarningText warnings;
  const c10::WarningUtils::WarningHandlerGuard keep(&warnings);
  if (!at::hasCUDA()) {
    return warnings.text().empty() ? "LibTorch's CUDA backend finds no GPU"
                                   : "LibTorch's CUDA backend finds no GPU: " + warnings.text();
  }
  return "";
}

/// Opens GPU number `index`: an empty text, or why it cannot be used.
std::string open_gpu(std::int64_t index) {
  const GpuProbe& probe = probe_gpus();
  if (!probe.reason.empty()) return probe.reason;
  const auto count = static_cast<std::int64_t>(probe.gpus.size());
  if (index >= count) {
    return fmt::format("there {} {} GPU{}, numbered from 0", count == 1 ? "is" : "are", count,
                       count == 1 ? "" : "s");
  }
  const Gpu& gpu = probe.gpus[static_cast<std::size_t>(index)];
  if (gpu.major < kOldestMajor) {
    return fmt::format("{} has compute capability {}.{}, but {}.0 or newer is needed", gpu.name, gpu.major,
                       gpu.minor, kOldestMajor);
  }
  static const std::string reason = load_backend();
  if (!reason.empty()) return reason;
  if (at::detail::getCUDAHooks().deviceCount() <= index)
    return fmt::format("LibTorch finds {} GPUs", at::detail::getCUDAHooks().deviceCount());
  use_gpu_numerics();
  return "";
}

OpenedDevice open_auto() {
  const GpuProbe& probe = probe_gpus();
  if (!probe.seems_present) return {};
  if (const std::string reason = open_gpu(0); !reason.empty())
    return {at::kCPU, fmt::format("device: cpu; the GPU is not used: {}", reason)};
  return {at::Device(at::kCUDA, 0), fmt::format("device: cuda:0, {}", probe.gpus[0].name)};
}

}  // namespace

void use_gpu_numerics() {
  at::Context& context = at::globalContext();
  const bool deterministic = is_on("DIFFIT_DETERMINISTIC", true);
  context.setDeterministicAlgorithms(deterministic, /*warn_only=*/false);
  context.setDeterministicFillUninitializedMemory(false);
  context.setDeterministicCuDNN(deterministic);
  context.setBenchmarkCuDNN(!deterministic);
  if (deterministic) setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  const bool tf32 = is_on("DIFFIT_TF32", false);
  context.setAllowTF32CuBLAS(tf32);
  context.setAllowTF32CuDNN(tf32);
}

OpenedDevice open_device(const std::string& name) {
  if (name == "cpu") return {};
  if (name == "auto") return open_auto();
  const bool numbered = name.starts_with("cuda:");
  DIFFIT_CHECK(name == "cuda" || numbered, "device: wanted auto, cpu, cuda or cuda:i, got '{}'", name);
  const std::int64_t index = numbered ? parse_int(name.substr(5), "device cuda:i") : 0;
  DIFFIT_CHECK(index >= 0, "device {}: wanted a number from 0", name);
  const std::string reason = open_gpu(index);
  DIFFIT_CHECK(reason.empty(), "device {}: {}; take another device, such as cpu", name, reason);
  return {at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index)), ""};
}

void synchronize(at::Device device) {
  if (device.is_cuda()) at::detail::getCUDAHooks().deviceSynchronize(device.index());
}

at::ScalarType open_dtype(const std::string& name, at::Device device, bool prefer_bf16) {
  if (name == "f32") return at::kFloat;
  if (name == "bf16") return at::kBFloat16;
  DIFFIT_CHECK(name == "auto", "dtype: wanted auto, f32 or bf16, got '{}'", name);
#if defined(__x86_64__)
  const bool native = device.is_cuda() || __builtin_cpu_supports("avx512bf16");
#else
  const bool native = device.is_cuda();
#endif
  return prefer_bf16 && native ? at::kBFloat16 : at::kFloat;
}

}  // namespace diffit::runtime
