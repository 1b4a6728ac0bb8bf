#include "train/encode_latents.h"

#include <zlib.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/lock.h"
#include "base/output_check.h"
#include "base/random_access.h"
#include "model/vae_file.h"
#include "runtime/autocast.h"
#include "train/dataset_images.h"

namespace diffit::training {

namespace {

/// Appends the moments of images x to `out`.
void append_moments(const Vae& vae, const at::Tensor& x, const EncodeRequest& request,
                    std::vector<float>& out) {
  const Autocast autocast(request.device.type(), request.dtype);
  const at::Tensor moments = vae.encode(x.to(request.device)).to(at::kFloat).to(at::kCPU).contiguous();
  const std::span numbers(moments.const_data_ptr<float>(), static_cast<std::size_t>(moments.numel()));
  out.insert(out.end(), numbers.begin(), numbers.end());
}

constexpr std::int64_t kStampedImages = 1000;

class Checksum {
 public:
  void add(std::span<const std::byte> bytes) {
    crc_ = crc32_z(crc_, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  }
  void add(const std::string& text) { add(std::as_bytes(std::span(text.data(), text.size() + 1))); }
  void add(std::uint64_t number) { add(std::as_bytes(std::span(&number, 1))); }
  std::string text() const { return fmt::format("{:08x}", crc_); }

 private:
  uLong crc_ = 0;
};

/// The size of the file, and its bytes: all of them up to a GiB, else of its beginning and its end, where
/// zips keep the checksums of what they hold.
void add_file(const fs::path& path, Checksum& sum) {
  constexpr std::uint64_t kWhole = std::uint64_t{1} << 30, kBegin = 64 << 20, kEnd = 256 << 20;
  const RandomAccessFile file(path);
  const std::uint64_t size = fs::file_size(path);
  sum.add(size);
  std::vector<std::byte> piece(1 << 20);
  const auto add = [&](std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t at = from; at < to; at += piece.size()) {
      const auto some = std::span(piece).first(std::min<std::uint64_t>(piece.size(), to - at));
      file.read(at, some);
      sum.add(some);
    }
  };
  if (size <= kWhole) return add(0, size);
  add(0, kBegin);
  add(size - kEnd, size);
}

}  // namespace

std::string encoding_stamp(const Dataset& images, const EncodeRequest& request) {
  const std::int64_t size = images.size();
  Checksum names, labels, bytes, content;
  std::error_code none;
  // Where the content of every image is looked at, the files around it do not matter.
  const bool sampled = size > kStampedImages, is_folder = fs::is_directory(request.source, none);
  for (std::int64_t i = 0; i < size; ++i) {
    const std::string name = images.source().name(i);
    names.add(name);
    labels.add(static_cast<std::uint64_t>(images.label(i)));
    if (!sampled || !is_folder) continue;
    const std::uintmax_t file = fs::file_size(request.source / name, none);
    bytes.add(none ? std::uint64_t{0} : static_cast<std::uint64_t>(file));
  }
  if (sampled && fs::is_regular_file(request.source, none)) add_file(request.source, bytes);
  std::vector<std::uint8_t> pixels(
      static_cast<std::size_t>(images.resolution() * images.resolution() * images.channels()));
  const std::int64_t some = std::min(size, kStampedImages);
  for (std::int64_t i = 0; i < some; ++i) {
    images.read(i * size / some, pixels);
    content.add(std::as_bytes(std::span(pixels)));
  }
  const Json stamp = {{"names", names.text()},
                      {"labels", labels.text()},
                      {"files", bytes.text()},
                      {"content", content.text()},
                      {"dtype", request.dtype == at::kFloat ? "f32" : "bf16"}};
  return stamp.dump();
}

LatentInfo encode_latents(const Dataset& images, const Vae& vae, const fs::path& folder,
                          const EncodeRequest& request, const EncodeProgress& progress) {
  const VaeConfig& config = vae.config();
  const std::string source = images.source().describe();
  DIFFIT_CHECK(images.channels() == config.in_channels || images.channels() == 1,
               "{}: the images have {} channels, but the VAE needs {}", source, images.channels(),
               config.in_channels);
  DIFFIT_CHECK(images.resolution() % vae.factor() == 0,
               "{}: the images are {} x {}, but the VAE needs sides that are multiples of {}; see diffit "
               "data convert --size",
               source, images.resolution(), images.resolution(), vae.factor());
  LatentInfo info{.vae = vae_identity(vae), .scale = config.scale, .source = source};
  info.images = images.size();
  info.channels = config.latent_channels;
  info.height = info.width = images.resolution() / vae.factor();
  info.classes = images.classes();
  if (const auto& names = images.source().facts().class_names;
      static_cast<std::int64_t>(names.size()) == info.classes)
    info.class_names = names;

  info.stamp = encoding_stamp(images, request);

  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("{}: cannot be made: {}", folder.string(), error.message());
  const FileLock lock(FileLock::path_in(folder));
  if (lock.busy()) {
    fail("{}: another process is encoding into this folder; wait for it to finish, or give another folder",
         folder.string());
  }
  const auto warn = [&](const std::string& text) {
    if (!text.empty() && request.warn) request.warn(text);
  };
  warn(lock.warning());
  remove_temporaries(folder);
  if (request.restart) remove_latent_shards(folder);
  // What is there is looked at first: nothing is encoded beside shards of another set.
  std::vector<bool> there;
  std::int64_t missing = 0;
  for (std::int64_t index = 0; index < info.shards(); ++index) {
    there.push_back(has_latent_shard(folder, info, index));
    const std::int64_t first = index * info.shard_images();
    if (!there.back()) missing += std::min(info.shard_images(), info.images - first);
  }
  check_output_folder(folder, "DEST",
                      static_cast<std::uint64_t>(2 * missing * info.numbers()) * sizeof(float));
  if (holds_unstamped_shards(folder)) {
    warn(
        fmt::format("{}: contains shards of an earlier version, which do not record what they were encoded "
                    "from; assuming {}. `restart` encodes them again",
                    folder.string(), source));
  }
  const at::NoGradGuard no_grad;
  for (LatentShard shard; shard.index < info.shards(); ++shard.index) {
    const std::int64_t first = shard.index * info.shard_images();
    const std::int64_t last = std::min(first + info.shard_images(), info.images);
    if (there[static_cast<std::size_t>(shard.index)]) {
      if (progress) progress(last, info.images);
      continue;
    }
    shard.moments.clear();
    shard.flipped.clear();
    shard.labels.clear();
    for (std::int64_t next = first; next < last; next += request.batch) {
      const std::int64_t count = std::min(request.batch, last - next);
      const at::Tensor x = read_images(images, index_range(next, count), config.in_channels);
      append_moments(vae, x, request, shard.moments);
      append_moments(vae, x.flip(3), request, shard.flipped);
      for (std::int64_t i = next; i < next + count; ++i) shard.labels.push_back(images.label(i));
      if (progress) progress(next + count, info.images);
    }
    for (const auto* moments : {&shard.moments, &shard.flipped}) {
      if (!std::all_of(moments->begin(), moments->end(), [](float m) { return std::isfinite(m); })) {
        fail("{}: shard {} not written: its latents are not finite; try `dtype` f32", folder.string(),
             shard.index);
      }
    }
    write_latent_shard(folder, info, shard);
  }
  return LatentDataset(folder).info();
}

double measured_scale(const Dataset& images, const Vae& vae, std::int64_t count, at::Device device) {
  const at::NoGradGuard no_grad;
  LatentInfo info;
  info.scale = 1;
  info.channels = vae.config().latent_channels;
  info.height = info.width = images.resolution() / vae.factor();
  LatentSums sums;
  const std::int64_t step = std::max<std::int64_t>(1, images.size() / count);
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < images.size(); i += step) indices.push_back(i);
  constexpr std::size_t kBatch = 32;
  for (std::size_t first = 0; first < indices.size(); first += kBatch) {
    const auto some = std::span(indices).subspan(first, std::min(kBatch, indices.size() - first));
    std::vector<float> moments;
    append_moments(vae, read_images(images, some, vae.config().in_channels), {.device = device}, moments);
    sums.add(moments, info);
  }
  const double deviation = sums.deviation();
  return deviation > 0 && std::isfinite(deviation) ? std::stod(fmt::format("{:.5g}", 1 / deviation)) : 1;
}

}  // namespace diffit::training
