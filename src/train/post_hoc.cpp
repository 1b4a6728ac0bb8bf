#include "train/post_hoc.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "model/model_file.h"
#include "train/ema.h"

namespace diffit::training {

namespace {

struct Snapshot {
  fs::path path;
  PowerProfile profile;
};

/// Returns the snapshots with power-function averages in a run folder, earliest first.
std::vector<Snapshot> power_snapshots(const fs::path& run) {
  DIFFIT_CHECK(fs::is_directory(run), "{}: wanted a run folder", run.string());
  std::vector<Snapshot> found;
  for (const auto& entry : fs::directory_iterator(run)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("snapshot-") || !name.ends_with(".safetensors")) continue;
    const SafetensorsFile file(entry.path());
    const auto std = file.metadata().find("diffit.ema_std"), images = file.metadata().find("diffit.images");
    if (std == file.metadata().end() || images == file.metadata().end()) continue;
    const std::string where = entry.path().string();
    const std::int64_t count = parse_int(images->second, where + ": diffit.images");
    DIFFIT_CHECK(count > 0, "{}: diffit.images is {}", where, count);
    found.push_back(
        {entry.path(),
         {power_gamma(parse_double(std->second, where + ": diffit.ema_std")), static_cast<double>(count)}});
  }
  std::sort(found.begin(), found.end(), [](const Snapshot& a, const Snapshot& b) {
    return std::pair(a.profile.images, a.profile.gamma) < std::pair(b.profile.images, b.profile.gamma);
  });
  return found;
}

}  // namespace

PostHocResult reconstruct_ema(const fs::path& run, double std, std::int64_t images, const fs::path& out) {
  std::vector<Snapshot> snapshots = power_snapshots(run);
  DIFFIT_CHECK(!snapshots.empty(),
               "{}: wanted snapshots of power-function averages (ema.power in the recipe), found none",
               run.string());
  if (images == 0) images = static_cast<std::int64_t>(snapshots.back().profile.images);
  std::erase_if(snapshots, [&](const Snapshot& s) { return s.profile.images > static_cast<double>(images); });
  DIFFIT_CHECK(!snapshots.empty(), "{}: there is no snapshot at or before {} images", run.string(), images);

  std::vector<PowerProfile> tracked;
  for (const Snapshot& s : snapshots) tracked.push_back(s.profile);
  const PowerProfile wanted{power_gamma(std), static_cast<double>(images)};
  const std::vector<double> weights = reconstruction(tracked, wanted);

  const at::NoGradGuard no_grad;
  LoadedModel sum = load_model(WeightsFile(snapshots.front().path), at::kCPU);
  std::visit(
      [&](auto& model) {
        std::vector<at::Tensor> exact;
        for (const Parameter& p : model.parameters()) {
          if (p.trained()) exact.push_back(at::zeros_like(p.tensor, at::kDouble));
        }
        for (std::size_t i = 0; i < snapshots.size(); ++i) {
          const SafetensorsFile file(snapshots[i].path);
          // Loading checks names and shapes against those of the first snapshot.
          load_parameters(model.parameters(), file.tensors(), "", file.path().string());
          std::size_t k = 0;
          for (const Parameter& p : model.parameters()) {
            if (p.trained()) exact[k++].add_(p.tensor.to(at::kDouble), weights[i]);
          }
        }
        std::size_t k = 0;
        for (const Parameter& p : model.parameters()) {
          if (p.trained()) p.tensor.copy_(exact[k++]);
        }
        save_model(
            out, model.parameters(), model.config(),
            {{"diffit.images", std::to_string(images)}, {"diffit.post_hoc_std", fmt::format("{}", std)}});
      },
      sum);
  return {images, static_cast<std::int64_t>(snapshots.size()),
          reconstruction_error(tracked, weights, wanted)};
}

}  // namespace diffit::training
