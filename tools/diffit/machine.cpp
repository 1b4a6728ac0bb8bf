#include "tools/diffit/machine.h"

#include <ATen/Parallel.h>

#include "kernels/device.h"

namespace diffit {

Machine open_machine(const CommonOptions& common, bool prefer_bf16) {
  if (common.threads > 0) at::set_num_threads(common.threads);
  const at::Device device = open_device(common.device);
  return {device, open_dtype(common.dtype, device, prefer_bf16)};
}

}  // namespace diffit
