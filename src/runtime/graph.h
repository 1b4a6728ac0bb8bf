// Work of a GPU recorded once and replayed with one launch (a CUDA graph).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/layers.h"

namespace diffit::runtime {

/// One recording. The memory that the work allocates while it is recorded belongs to the recording and is
/// written again by each replay. Not thread-safe; while a recording is made, no other thread may use the GPU.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  /// Records what `work` queues, on a stream of its own; nothing is executed. `work` must not wait for the
  /// device and must not copy from memory of the host. Throws what `work` throws, and c10::Error for what
  /// cannot be recorded.
  virtual void record(const std::function<void()>& work) = 0;
  /// Queues the recorded work on the current stream.
  virtual void replay() = 0;
};

/// Returns an empty graph for a GPU; null on the CPU, without libdiffit_cuda_graph.so or with
/// DIFFIT_GRAPHS=off. `device` must have been opened.
std::unique_ptr<DeviceGraph> make_device_graph(at::Device device);

/// What make_device_graph() finds in the library.
constexpr int kGraphVersion = 1;
constexpr const char* kGraphSymbol = "diffit_make_cuda_graph";
/// Null for another version of this interface or of LibTorch.
using MakeGraph = DeviceGraph* (*)(int version, const char* torch, int device);

/// A function of tensors whose work is the same at every call with inputs of the same shapes: it is called a
/// few times, then recorded, then replayed. On the CPU it is always called.
class Replayed {
 public:
  using Tensors = std::vector<at::Tensor>;
  /// `function` takes tensors on `device`, and reads nothing else that changes but memory at fixed addresses.
  Replayed(at::Device device, std::function<Tensors(const Tensors&)> function);
  ~Replayed();
  Replayed(Replayed&&) noexcept;
  Replayed& operator=(Replayed&&) noexcept;

  /// Returns function(inputs). `inputs` may be on the CPU: pinned memory is read while the GPU goes on, until
  /// the next synchronization. The result is the caller's: a replay writes to memory of its own.
  Tensors operator()(const Tensors& inputs);
  /// Forgets the recording and its memory.
  void reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Calls of a Replayed, or of what is made of them, after which it replays; 1 on the CPU. For measurements.
int calls_until_replayed(at::Device device);

}  // namespace diffit::runtime
