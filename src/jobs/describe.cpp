// The job behind diffit/describe.h.
#include "base/bundled.h"
#include "config/json_text.h"
#include "diffit/data.h"
#include "io/file_kind.h"
#include "io/images/image.h"
#include "jobs/described.h"
#include "jobs/guard.h"
#include "jobs/no_monitor.h"
#include "metrics/reference.h"
#include "model/vae_folder.h"

namespace diffit::jobs {

namespace {

/// True for what is weights by its content, or claims to be by its name: the rest are data sets.
bool is_weights(const fs::path& path) {
  std::error_code none;
  if (fs::is_directory(path, none)) return false;
  const std::string what = what_file_is_this(path), extension = path.extension().string();
  return what == "a safetensors file" || what.starts_with("a torch.save file") ||
         extension == ".safetensors" || extension == ".pt" || extension == ".pth" || extension == ".ckpt" ||
         path.filename().string().ends_with(".index.json");
}

DescribeResult result_of(const Described& described) {
  return {json_text(described.json), described.text};
}

DescribeResult run_describe(const DescribeSpec& spec, const RuntimeOptions& options, Monitor& monitor) {
  const std::string& what = spec.what;
  std::error_code none;
  if (spec.classes) return result_of(describe_classes(what));
  if (what.empty()) return result_of(describe_installation(options, monitor));
  const bool file = fs::is_regular_file(what, none);
  if (file && is_image_name(what)) return result_of(describe_image(what));
  if (is_diffusers_folder(what)) return result_of(describe_autoencoder(what));
  if (file && fs::path(what).extension() == ".npz" && is_statistics(what))
    return result_of(describe_statistics(what));
  if (fs::exists(what, none) && !is_weights(what)) {
    DescribeDataSpec data;
    data.data = what;
    data.threads = options.threads;
    const DescribeDataResult described = describe_data(data, monitor);
    return {described.json, described.text};
  }
  return result_of(describe_model(model_path(what), spec.check));
}

}  // namespace

}  // namespace diffit::jobs

namespace diffit {

DescribeResult describe(const DescribeSpec& spec, const RuntimeOptions& runtime, Monitor& monitor) {
  return jobs::guarded([&] { return jobs::run_describe(spec, runtime, monitor); });
}

DescribeResult describe(const DescribeSpec& spec, const RuntimeOptions& runtime) {
  return describe(spec, runtime, jobs::no_monitor());
}

}  // namespace diffit
