#include "dist/gather.h"

#include <ATen/core/grad_mode.h>

namespace diffit::dist {

namespace {

constexpr int kTag = 1 << 24;  // above those of gradients

/// The numbers of a dense tensor in the order of its memory.
at::Tensor flat_of(const at::Tensor& tensor) {
  return tensor.detach().as_strided({tensor.numel()}, {1}).cpu();
}

}  // namespace

std::vector<at::Tensor> gather_to_leader(Group& group, const std::vector<int>& owners,
                                         const std::vector<at::Tensor>& owned,
                                         const std::vector<at::Tensor>& like) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> all;
  std::size_t next = 0;
  for (std::size_t i = 0; i < owners.size(); ++i) {
    const bool own = owners[i] == group.rank();
    const at::Tensor tensor = own ? owned[next++] : at::Tensor();
    if (!group.leads()) {
      if (own) group.send(flat_of(tensor), 0, kTag)->wait();
      continue;
    }
    if (own) {
      all.push_back(tensor);
      continue;
    }
    at::Tensor received = at::empty_strided(like[i].sizes(), like[i].strides(),
                                            like[i].options().device(at::kCPU).requires_grad(false));
    group.receive(flat_of(received), owners[i], kTag)->wait();
    all.push_back(std::move(received));
  }
  return all;
}

}  // namespace diffit::dist
