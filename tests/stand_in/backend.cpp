// Stands in for libtorch_cuda.so: registers CUDA's hooks when it is loaded, as the real one does, and writes
// what happens to the file STAND_IN_RECORD, a line each. LibTorch makes its hooks when CUDA is first asked
// about and keeps them: had the program asked before it loaded this library, the hooks would be the empty
// ones and no line "asked" would appear.
#include <ATen/detail/CUDAHooksInterface.h>

#include <cstdio>
#include <cstdlib>

namespace {

void record(const char* line) {
  const char* path = std::getenv("STAND_IN_RECORD");
  std::FILE* const file = path == nullptr ? nullptr : std::fopen(path, "a");
  if (file == nullptr) return;
  std::fprintf(file, "%s\n", line);
  std::fclose(file);
}

const bool loaded = [] {
  record("loaded");
  return true;
}();

}  // namespace

namespace at {
namespace {

// LibTorch finds the hooks by this name.
struct CUDAHooks : CUDAHooksInterface {
  explicit CUDAHooks(CUDAHooksArgs) {}
  bool hasCUDA() const override {
    record("asked");
    return std::getenv("STAND_IN_REFUSES") == nullptr;
  }
  DeviceIndex deviceCount() const override {
    const char* count = std::getenv("STAND_IN_GPUS");
    return static_cast<DeviceIndex>(count == nullptr ? 1 : std::atoi(count));
  }
  void deviceSynchronize(DeviceIndex) const override {}
};

}  // namespace

REGISTER_CUDA_HOOKS(CUDAHooks)

}  // namespace at
