// Weights as torch.save leaves them (.pt, .pth): a zip with data.pkl and data/0, data/1, ...
// (docs/formats.md).
#pragma once

#include <deque>
#include <vector>

#include "io/archives/zip.h"
#include "io/images/average.h"
#include "io/tensors/tensor_table.h"

namespace diffit::io {

/// True where the bytes begin as a zip does that is no safetensors file, or as torch's format before 1.6 did
/// (which opening then refuses, telling how to save again).
bool begins_as_torch_file(std::span<const std::byte> start);

/// One state dict out of such a file; io/tensors/pickle.h says what is understood, and that nothing is run.
///
/// The state dict is the file's own dict where all its values are tensors. Else it is the dict of tensors
/// under one of these keys, or under one of the second kind within it: an average under `ema`, `model_ema`,
/// `ema_model`, `state_dict_ema` or `ema_state_dict`; what was trained under `model`, `state_dict`,
/// `model_state_dict`, `net`, `weights` or `module`. `average` chooses. Without any of these keys it is the
/// only dict of tensors that there is. Entries that are no tensors are left out. Names are as they are in the
/// file.
///
/// Tensors are views into the mapped file where their storage is stored and they lie in row-major order in
/// it; others are copied into that order, at most once the storages' bytes in all. Offsets, sizes and strides
/// are checked against the storage. Checksums of storages are not compared. Throws Error(invalid), naming
/// file and tensor. Views stay valid as long as this lives, and while it is moved.
class TorchFile {
 public:
  TorchFile(const fs::path& path, Average average);

  const std::vector<TensorView>& tensors() const { return tensors_; }
  /// The tensor will not be read soon: its bytes leave this process's memory, where they are the file's.
  void done_with(const TensorView& view) const { file_.done_with(view.bytes); }

 private:
  MappedFile file_;
  std::deque<std::vector<std::byte>> copies_;
  std::vector<TensorView> tensors_;
};

}  // namespace diffit::io
