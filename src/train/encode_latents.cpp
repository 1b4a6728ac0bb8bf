#include "train/encode_latents.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "kernels/autocast.h"
#include "train/dataset_pictures.h"
#include "train/vae_file.h"

namespace diffit {

namespace {

/// Appends the moments of pictures x to `out`.
void append_moments(const Vae& vae, const at::Tensor& x, const EncodeRequest& request,
                    std::vector<float>& out) {
  const Autocast autocast(request.device.type(), request.dtype);
  const at::Tensor moments = vae.encode(x.to(request.device)).to(at::kFloat).to(at::kCPU).contiguous();
  const std::span numbers(moments.const_data_ptr<float>(), static_cast<std::size_t>(moments.numel()));
  out.insert(out.end(), numbers.begin(), numbers.end());
}

}  // namespace

LatentInfo encode_latents(const Dataset& pictures, const Vae& vae, const fs::path& folder,
                          const EncodeRequest& request, const EncodeProgress& progress) {
  const VaeConfig& config = vae.config();
  const std::string source = pictures.source().describe();
  DIFFIT_CHECK(pictures.channels() == config.in_channels || pictures.channels() == 1,
               "{}: its pictures have {} channels, the VAE takes {}", source, pictures.channels(),
               config.in_channels);
  DIFFIT_CHECK(pictures.resolution() % vae.factor() == 0,
               "{}: its pictures are {} x {}, wanted a multiple of {}, which the VAE divides by; see diffit "
               "data convert --size",
               source, pictures.resolution(), pictures.resolution(), vae.factor());
  LatentInfo info{.vae = vae_identity(vae), .scale = config.scale, .source = source};
  info.pictures = pictures.size();
  info.channels = config.latent_channels;
  info.height = info.width = pictures.resolution() / vae.factor();
  info.classes = pictures.classes();

  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("{}: cannot be made: {}", folder.string(), error.message());
  remove_temporaries(folder);
  const at::NoGradGuard no_grad;
  for (LatentShard shard; shard.index < info.shards(); ++shard.index) {
    const std::int64_t first = shard.index * info.shard_pictures();
    const std::int64_t last = std::min(first + info.shard_pictures(), info.pictures);
    if (has_latent_shard(folder, info, shard.index)) {
      if (progress) progress(last, info.pictures);
      continue;
    }
    shard.moments.clear();
    shard.flipped.clear();
    shard.labels.clear();
    for (std::int64_t next = first; next < last; next += request.batch) {
      const std::int64_t count = std::min(request.batch, last - next);
      const at::Tensor x = read_pictures(pictures, index_range(next, count), config.in_channels);
      append_moments(vae, x, request, shard.moments);
      append_moments(vae, x.flip(3), request, shard.flipped);
      for (std::int64_t i = next; i < next + count; ++i) shard.labels.push_back(pictures.label(i));
      if (progress) progress(next + count, info.pictures);
    }
    for (const auto* moments : {&shard.moments, &shard.flipped}) {
      if (!std::all_of(moments->begin(), moments->end(), [](float m) { return std::isfinite(m); })) {
        fail("{}: shard {} not written, its latents are not finite numbers; try --dtype f32", folder.string(),
             shard.index);
      }
    }
    write_latent_shard(folder, info, shard);
  }
  return LatentDataset(folder).info();
}

double measured_scale(const Dataset& pictures, const Vae& vae, std::int64_t count, at::Device device) {
  const at::NoGradGuard no_grad;
  LatentInfo info;
  info.scale = 1;
  info.channels = vae.config().latent_channels;
  info.height = info.width = pictures.resolution() / vae.factor();
  LatentSums sums;
  const std::int64_t step = std::max<std::int64_t>(1, pictures.size() / count);
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < pictures.size(); i += step) indices.push_back(i);
  constexpr std::size_t kBatch = 32;
  for (std::size_t first = 0; first < indices.size(); first += kBatch) {
    const auto some = std::span(indices).subspan(first, std::min(kBatch, indices.size() - first));
    std::vector<float> moments;
    append_moments(vae, read_pictures(pictures, some, vae.config().in_channels), {.device = device}, moments);
    sums.add(moments, info);
  }
  const double deviation = sums.deviation();
  return deviation > 0 && std::isfinite(deviation) ? std::stod(fmt::format("{:.5g}", 1 / deviation)) : 1;
}

}  // namespace diffit
