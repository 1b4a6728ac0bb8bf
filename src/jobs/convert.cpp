// The job behind diffit/convert.h.
#include "diffit/convert.h"

#include "base/bundled.h"
#include "base/output_check.h"
#include "io/file_kind.h"
#include "io/tensors/npz.h"
#include "jobs/guard.h"
#include "model/convert_model.h"
#include "model/model_file.h"
#include "model/vae_file.h"

namespace diffit::jobs {

namespace {

std::optional<Dtype> dtype_named(const std::string& name) {
  if (name.empty() || name == "auto") return std::nullopt;
  if (name == "f32") return Dtype::f32;
  if (name == "f16") return Dtype::f16;
  if (name == "bf16") return Dtype::bf16;
  reject("`dtype`: wanted f32, f16 or bf16, got '{}'", name);
}

bool is_statistics_file(const fs::path& path) {
  return what_file_is_this(path).starts_with("an .npz") && NpzReader(path).has("mu") &&
         NpzReader(path).has("sigma");
}

/// A config.json of another program or class beside the file says nothing of it.
VaePlace place_beside(const fs::path& file) {
  try {
    return find_vae(file);
  } catch (const Error&) {
    return {.weights = file, .config = {}, .config_json = {}, .must_fit = false};
  }
}

ConvertResult run_convert(const ConvertSpec& spec) {
  const fs::path destination = spec.destination;
  DIFFIT_CHECK(destination.extension() == ".safetensors", "{}: wanted a file name that ends in .safetensors",
               destination.string());
  check_output_file(destination, "`destination`");
  DIFFIT_CHECK(!(spec.ema && spec.no_ema), "`ema` and `no_ema` exclude each other");
  const std::optional<Dtype> dtype = dtype_named(spec.dtype);
  const Average average = spec.ema ? Average::wanted : spec.no_ema ? Average::refused : Average::preferred;
  const fs::path given = model_path(spec.source);
  DIFFIT_CHECK(!is_statistics_file(given),
               "{}: these are statistics of a feature network (mu, sigma), not weights; use them with eval "
               "directly, or read them with NumPy",
               given.string());
  // An autoencoder's folder, or a file with its config.json beside it.
  const bool folder = is_diffusers_folder(given);
  const VaePlace place = folder ? find_vae(given) : place_beside(given);
  const WeightsFile source(place.weights, average);
  DIFFIT_CHECK(
      average != Average::preferred || !source.metadata().contains(kStateKey),
      "{}: a training checkpoint holds the trained weights and their EMA; choose one with `no_ema` or `ema`",
      source.path().string());
  const std::optional<VaeConfig> vae =
      folder || looks_like_vae(source.tensors()) ? config_beside(place, source) : std::nullopt;
  const ConvertReport report = convert_model(source, destination, dtype, vae, spec.null_row);
  return {source.kind(), report.config, static_cast<std::int64_t>(report.tensors),
          static_cast<std::int64_t>(report.bytes)};
}

}  // namespace

}  // namespace diffit::jobs

namespace diffit {

ConvertResult convert_model(const ConvertSpec& spec) {
  return jobs::guarded([&] { return jobs::run_convert(spec); });
}

}  // namespace diffit
