#include "runtime/gpu_probe.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

namespace diffit::runtime {
namespace {

// The part of the CUDA driver's interface that is used here. It is stable: each function keeps its meaning.
constexpr int kSuccess = 0, kNoDevice = 100;
constexpr int kCapabilityMajor = 75, kCapabilityMinor = 76;
/// LibTorch's wheel is built with this CUDA; a driver runs programs of its own major version and of older
/// ones.
constexpr int kNeededVersion = 13000;

class Driver {
 public:
  Driver() : library_(dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) {}

  bool is_there() const { return library_ != nullptr; }

  /// The function's result, or -1 if the driver lacks it.
  template <class... A>
  int call(const char* name, A... arguments) const {
    void* const found = dlsym(library_, name);
    return found == nullptr ? -1 : reinterpret_cast<int (*)(A...)>(found)(arguments...);
  }

  std::string error_text(int code) const {
    const char* text = nullptr;
    if (call("cuGetErrorString", code, &text) != kSuccess || text == nullptr)
      return fmt::format("error {}", code);
    return text;
  }

 private:
  void* library_;
};

bool has_device_file() {
  std::error_code none;
  return std::filesystem::exists("/dev/nvidiactl", none) || std::filesystem::exists("/dev/nvidia0", none);
}

Gpu describe(const Driver& driver, int ordinal) {
  Gpu gpu;
  int device = 0;
  if (driver.call("cuDeviceGet", &device, ordinal) != kSuccess) return gpu;
  char name[256] = {};
  driver.call("cuDeviceGetName", &name[0], static_cast<int>(sizeof name) - 1, device);
  gpu.name = name;
  std::size_t bytes = 0;
  driver.call("cuDeviceTotalMem_v2", &bytes, device);
  gpu.memory_bytes = bytes;
  driver.call("cuDeviceGetAttribute", &gpu.major, kCapabilityMajor, device);
  driver.call("cuDeviceGetAttribute", &gpu.minor, kCapabilityMinor, device);
  return gpu;
}

std::string no_device_reason() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible == nullptr
             ? "the driver finds no GPU"
             : fmt::format("CUDA_VISIBLE_DEVICES='{}' leaves no GPU visible to this program", visible);
}

GpuProbe probe() {
  GpuProbe result;
  result.seems_present = has_device_file();
  const Driver driver;
  if (!driver.is_there()) {
    result.reason = result.seems_present
                        ? "the NVIDIA driver's library libcuda.so.1 is not on this program's library path"
                        : "no NVIDIA driver is installed (libcuda.so.1 is not found)";
    return result;
  }
  driver.call("cuDriverGetVersion", &result.cuda_version);
  if (result.cuda_version > 0 && result.cuda_version < kNeededVersion) {
    result.seems_present = true;
    result.reason =
        fmt::format("the NVIDIA driver supports CUDA {}, but CUDA {} is needed: update the driver",
                    cuda_version_text(result.cuda_version), cuda_version_text(kNeededVersion));
    return result;
  }
  if (const int code = driver.call("cuInit", 0U); code != kSuccess) {
    result.reason = code == kNoDevice
                        ? no_device_reason()
                        : fmt::format("the NVIDIA driver cannot be initialized: {}", driver.error_text(code));
    return result;
  }
  int count = 0;
  if (const int code = driver.call("cuDeviceGetCount", &count); code != kSuccess && code != kNoDevice) {
    result.reason = fmt::format("the NVIDIA driver cannot list its GPUs: {}", driver.error_text(code));
    return result;
  }
  for (int i = 0; i < count; ++i) result.gpus.push_back(describe(driver, i));
  if (count <= 0) result.reason = no_device_reason();
  if (count > 0) result.seems_present = true;
  return result;
}

}  // namespace

const GpuProbe& probe_gpus() {
  static const GpuProbe found = probe();
  return found;
}

std::string cuda_version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

}  // namespace diffit::runtime
