// Collects on the leader what the ranks hold of one list of tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "dist/group.h"

namespace diffit::dist {

/// `owned`: for each item i with owners[i] == group.rank(), in order, this rank's tensor. `like`: for every
/// item a tensor of its shape and memory layout. Returns all items in order on the leader, whose own ones are
/// not copied, and an empty list on other ranks. Collective.
std::vector<at::Tensor> gather_to_leader(Group& group, const std::vector<int>& owners,
                                         const std::vector<at::Tensor>& owned,
                                         const std::vector<at::Tensor>& like);

}  // namespace diffit::dist
