// The program, its models and presets, and the machine, for diffit::describe().
#include <ATen/Parallel.h>

#include "base/bundled.h"
#include "base/cpu_count.h"
#include "base/text.h"
#include "jobs/described.h"
#include "kernels/cuda_backend.h"
#include "kernels/ops.h"
#include "runtime/device.h"
#include "runtime/gpu_probe.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

namespace {

/// "2 processors", "8 processors by CPU affinity, 1.5 by the cgroup quota".
std::string text_of(const CpuLimits& limits) {
  if (!limits.quota) return fmt::format("{} processors", limits.affinity);
  return fmt::format("{} processors by CPU affinity, {:.4g} by the cgroup quota", limits.affinity,
                     *limits.quota);
}

/// "gpus", the newest CUDA that the driver supports, and why none is usable.
Json json_of(const GpuProbe& probe) {
  Json gpus = Json::array();
  for (const Gpu& gpu : probe.gpus) {
    gpus.push_back({{"name", gpu.name},
                    {"memory_bytes", gpu.memory_bytes},
                    {"compute_capability", fmt::format("{}.{}", gpu.major, gpu.minor)}});
  }
  Json object = {{"gpus", gpus}};
  if (probe.cuda_version > 0) object["driver_cuda"] = cuda_version_text(probe.cuda_version);
  if (!probe.reason.empty()) object["gpu_unusable"] = probe.reason;
  return object;
}

std::string text_of(const GpuProbe& probe) {
  if (!probe.reason.empty()) return "none: " + probe.reason;
  std::string text;
  for (std::size_t i = 0; i < probe.gpus.size(); ++i) {
    const Gpu& gpu = probe.gpus[i];
    text += fmt::format("{}cuda:{} {}, {}, compute capability {}.{}", i == 0 ? "" : "; ", i, gpu.name,
                        human_bytes(static_cast<double>(gpu.memory_bytes)), gpu.major, gpu.minor);
  }
  return text + fmt::format("; the driver supports CUDA {}", cuda_version_text(probe.cuda_version));
}

}  // namespace

Described describe_installation(const RuntimeOptions& options, Monitor& monitor) {
  const Runtime machine = open_runtime(options, /*prefer_bf16=*/false, monitor);
  const CpuLimits limits = cpu_limits();
  const GpuProbe& gpus = probe_gpus();
  Json object = {{"version", version()},
                 {"kernels", cpu_kernel_target()},
                 {"threads", at::get_num_threads()},
                 {"models", bundled_models()},
                 {"presets", preset_names()},
                 {"home", home().string()},
                 {"cpus", limits.count()},
                 {"cpu_affinity", limits.affinity},
                 {"cpu_quota", limits.quota ? Json(*limits.quota) : Json()},
                 {"device", machine.device.str()}};
  object.update(json_of(gpus));
  if (machine.device.is_cuda()) object["cuda_kernels"] = has_cuda_kernels();
  if (const std::string note = open_device(options.device).note; !note.empty()) object["device_note"] = note;
  const std::string text = fmt::format(
      "diffit {}\nCPU kernels  {}, {} threads\nCPU          {}\nGPUs         {}\nmodels       {}\n"
      "presets      {}\nhome         {}\n",
      version(), cpu_kernel_target(), at::get_num_threads(), text_of(limits), text_of(gpus),
      fmt::join(bundled_models(), ", "), fmt::join(preset_names(), ", "), home().string());
  return {object, text};
}

}  // namespace diffit::jobs
