// The weights of a model, whatever file they come in.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "io/images/average.h"
#include "io/tensors/tensor_table.h"

namespace diffit::io {

/// Prefixes that training code puts before every name (`module.`, `_orig_mod.`, `model.`, `ema.`, ...;
/// io/tensors/wrapped_names.h) are taken off.
///
/// One of: a .safetensors file; a set of them, by its index (*.index.json, io/tensors/sharded.h); a file of
/// torch.save (io/tensors/torch_file.h). Told apart by content. Bytes are mapped: memory is taken when they
/// are read. Views stay valid as long as this lives, and while it is moved. Throws Error(invalid), naming
/// file and tensor, for anything malformed.
class WeightsFile {
 public:
  /// `average` chooses among the state dicts of torch.save. A safetensors file that holds a training state
  /// (metadata key diffit.state, names `weights.NAME`, `ema.NAME`, ...) is taken as it is where it is
  /// `preferred`; else one of the two sets, without its prefix.
  explicit WeightsFile(const fs::path& path, Average average = Average::preferred);
  ~WeightsFile();
  WeightsFile(WeightsFile&&) noexcept;

  const fs::path& path() const { return path_; }
  const std::vector<TensorView>& tensors() const { return table_.all(); }
  /// nullptr where there is none of that name.
  const TensorView* find(const std::string& name) const { return table_.find(name); }
  /// Error(invalid) that lists what there is, where there is none of that name.
  const TensorView& at(const std::string& name) const { return table_.at(name, path_.string()); }
  const Metadata& metadata() const { return metadata_; }
  /// The tensor will not be read soon: its bytes leave this process's memory. Whoever turns every tensor into
  /// something of their own says so after each, so that the file is never held whole beside it.
  void done_with(const TensorView& view) const;
  /// "safetensors", "safetensors in N files", "torch".
  const std::string& kind() const { return kind_; }
  /// What was taken off every name: "module.", or "".
  const std::string& wrapper() const { return wrapper_; }

 private:
  struct Source;
  fs::path path_;
  std::unique_ptr<Source> source_;  // what the views point into
  TensorTable table_;
  Metadata metadata_;
  std::string kind_, wrapper_;
};

}  // namespace diffit::io
