// libdiffit_cuda_graph.so: DeviceGraph with LibTorch's CUDAGraph. It is the one library that needs the
// headers of CUDA and symbols of libtorch_cuda.so, which is loaded before it; a library fits one version of
// LibTorch.
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/headeronly/version.h>

#include <optional>
#include <string_view>

#include "runtime/graph.h"

namespace diffit::runtime {
namespace {

class CudaGraph final : public DeviceGraph {
 public:
  explicit CudaGraph(c10::DeviceIndex device) : device_(device) {}

  void record(const std::function<void()>& work) override {
    const c10::cuda::CUDAGuard guard(device_);
    c10::cuda::device_synchronize();
    // The recording has memory of its own: what the calls before it left in the cache would be needed twice.
    c10::cuda::CUDACachingAllocator::emptyCache();
    graph_.emplace();
    {
      // A recording cannot be made on the default stream.
      const c10::cuda::CUDAStreamGuard stream(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device_));
      graph_->capture_begin();
      try {
        work();
      } catch (...) {
        end_after_failure();
        throw;
      }
      graph_->capture_end();
    }
    c10::cuda::device_synchronize();
  }

  void replay() override {
    const c10::cuda::CUDAGuard guard(device_);
    graph_->replay();
  }

 private:
  /// Leaves the stream usable.
  void end_after_failure() noexcept {
    try {
      graph_->capture_end();
    } catch (...) {
    }
    graph_.reset();
  }

  c10::DeviceIndex device_;
  std::optional<at::cuda::CUDAGraph> graph_;
};

}  // namespace
}  // namespace diffit::runtime

extern "C" __attribute__((visibility("default"))) diffit::runtime::DeviceGraph* diffit_make_cuda_graph(
    int version, const char* torch, int device) {
  using namespace diffit::runtime;
  if (version != kGraphVersion || std::string_view(torch) != TORCH_VERSION) return nullptr;
  return new CudaGraph(static_cast<c10::DeviceIndex>(device));
}
