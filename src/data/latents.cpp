#include "data/latents.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/printable.h"
#include "base/random.h"
#include "config/fields.h"
#include "config/json_text.h"

namespace diffit::data {

namespace {

constexpr const char* kLatentsKey = "diffit.latents";
constexpr std::int64_t kShardImages = 10000, kShardBytes = std::int64_t{1} << 29;

/// The metadata of a shard.
struct ShardHeader {
  std::string vae, source, stamp;
  double scale = 0, mean = 0, deviation = 0;
  std::int64_t images = 0, first = 0, classes = 0;
  std::int64_t crc32 = -1;
  std::string class_names;
};

template <class V>
void visit_fields(V& v, ShardHeader& h) {
  v("vae", h.vae, "identity of the autoencoder");
  v("scale", h.scale, "factor that latents are multiplied by", 1e-6, 1e6);
  v("source", h.source, "the images");
  v("pictures", h.images, "number of images in the whole set", 1, 1e12);
  v("first", h.first, "number of the shard's first image", 0, 1e12);
  v("classes", h.classes, "number of classes; 0 without labels", 0, 1e6);
  v("mean", h.mean, "statistics of this shard's scaled latents", -1e6, 1e6);
  v("deviation", h.deviation, "statistics of this shard's scaled latents", 0, 1e6);
  v("stamp", h.stamp, "hash of images and options, to detect another data set with the same name");
  v("crc32", h.crc32, "checksums of moments, moments_flip and labels in this order; -1: unknown", -1,
    4294967295.0);
  v("class_names", h.class_names, "JSON list with a name for each class; empty without names");
}

fs::path shard_path(const fs::path& folder, std::int64_t index) {
  return folder / fmt::format("latents-{:05}.safetensors", index);
}

ShardHeader read_header(const SafetensorsFile& file) {
  const std::string where = file.path().string();
  const auto found = file.metadata().find(kLatentsKey);
  DIFFIT_CHECK(found != file.metadata().end(),
               "{}: not a latents file of diffit data encode (no metadata key {})", where, kLatentsKey);
  ShardHeader header;
  const std::string place = where + ": " + kLatentsKey;
  read_fields(header, parse_json(found->second, place), place);
  return header;
}

const TensorView& moments_of(const SafetensorsFile& file, bool mirrored) {
  return file.at(mirrored ? "moments_flip" : "moments");
}

std::vector<std::string> names_in(const ShardHeader& header, const std::string& where) {
  std::vector<std::string> names;
  if (header.class_names.empty()) return names;
  const std::string place = where + ": " + kLatentsKey + ": class_names";
  const Json list = parse_json(header.class_names, place);
  DIFFIT_CHECK(list.is_array() && static_cast<std::int64_t>(list.size()) == header.classes,
               "{}: wanted a list of {} names", place, header.classes);
  for (const Json& name : list) {
    DIFFIT_CHECK(name.is_string(), "{}: wanted names as text", place);
    names.push_back(printable(name.get_ref<const std::string&>()));
  }
  return names;
}

/// What a shard tells of the whole cache.
LatentInfo info_of(const SafetensorsFile& file, const ShardHeader& header) {
  const TensorView& moments = moments_of(file, false);
  DIFFIT_CHECK(moments.dtype == Dtype::f32 && moments.shape.size() == 4 && moments.shape[0] > 0 &&
                   moments.shape[1] > 0 && moments.shape[1] % 2 == 0 && moments.shape[2] > 0 &&
                   moments.shape[3] > 0,
               "{}: wanted `moments` F32 [n, 2L, h, w], got {} [{}]", file.path().string(),
               safetensors_name(moments.dtype), fmt::join(moments.shape, ", "));
  LatentInfo info{.vae = header.vae, .scale = header.scale, .source = header.source};
  info.images = header.images;
  info.channels = moments.shape[1] / 2;
  info.height = moments.shape[2];
  info.width = moments.shape[3];
  info.classes = header.classes;
  info.stamp = header.stamp;
  info.class_names = names_in(header, file.path().string());
  return info;
}

std::uint32_t crc_of(std::span<const std::byte> bytes, std::uint32_t before = 0) {
  return static_cast<std::uint32_t>(
      crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

/// Whether the shard's bytes are those that were written. True where it does not say.
bool fits_checksum(const SafetensorsFile& file, const ShardHeader& header) {
  if (header.crc32 < 0) return true;
  std::uint32_t crc = 0;
  for (const char* name : {"moments", "moments_flip", "labels"}) {
    const TensorView* view = file.find(name);
    if (view == nullptr) continue;
    crc = crc_of(view->bytes, crc);
    file.done_with(*view);
  }
  return crc == header.crc32;
}

/// The parts of two stamps that differ: "labels, content". "" where one of them is not known.
std::string different_parts(const std::string& stamp, const std::string& wanted) {
  if (stamp.empty() || wanted.empty() || stamp == wanted) return {};
  const Json a = Json::parse(stamp, nullptr, false), b = Json::parse(wanted, nullptr, false);
  if (!a.is_object() || !b.is_object()) return "the stamp";
  std::vector<std::string> parts;
  for (const auto& [key, value] : b.items()) {
    if (a.value(key, Json()) != value) parts.push_back(key);
  }
  return parts.empty() ? "the stamp" : fmt::format("{}", fmt::join(parts, ", "));
}

/// Error(invalid) unless shard `index` is the one of that number of the cache.
void check_shard(const SafetensorsFile& file, const ShardHeader& header, const LatentInfo& info,
                 std::int64_t index) {
  const std::string where = file.path().string();
  DIFFIT_CHECK(header.vae == info.vae, "{}: encoded by the VAE {}, wanted {}; encode into a separate folder",
               where, header.vae, info.vae);
  DIFFIT_CHECK(header.scale == info.scale, "{}: its scale is {}, wanted {}", where, header.scale, info.scale);
  DIFFIT_CHECK(header.source == info.source && header.images == info.images && header.classes == info.classes,
               "{}: contains latents of {} ({} images, {} classes), wanted {} ({} images, {} classes); "
               "encode into a separate folder",
               where, header.source, header.images, header.classes, info.source, info.images, info.classes);
  const std::string parts = different_parts(header.stamp, info.stamp);
  DIFFIT_CHECK(parts.empty(),
               "{}: its latents were encoded from other images or options: {} differ, although {} and the "
               "number of images are the same; encode into a separate folder, or again with `restart`",
               where, parts, info.source);
  const std::int64_t first = index * info.shard_images();
  const std::int64_t count = std::min(info.shard_images(), info.images - first);
  const std::vector<std::int64_t> wanted{count, 2 * info.channels, info.height, info.width};
  for (const bool mirrored : {false, true}) {
    const TensorView& moments = moments_of(file, mirrored);
    DIFFIT_CHECK(header.first == first && moments.dtype == Dtype::f32 && moments.shape == wanted,
                 "{}: wanted `{}` F32 [{}] beginning with image {}, got {} [{}] beginning with image {}",
                 where, moments.name, fmt::join(wanted, ", "), first, safetensors_name(moments.dtype),
                 fmt::join(moments.shape, ", "), header.first);
  }
}

/// Appends the shard's labels.
void read_labels(const SafetensorsFile& file, const LatentInfo& info, std::vector<std::int64_t>& labels) {
  if (info.classes == 0) return;
  const TensorView& view = file.at("labels");
  DIFFIT_CHECK(view.dtype == Dtype::i64 && view.count() == moments_of(file, false).shape[0],
               "{}: wanted the array labels as I64, one for each of {} images, got {} {}",
               file.path().string(), moments_of(file, false).shape[0], view.count(),
               safetensors_name(view.dtype));
  const auto before = labels.size();
  labels.resize(before + static_cast<std::size_t>(view.count()));
  std::memcpy(labels.data() + before, view.bytes.data(), view.bytes.size());
  for (auto label = labels.begin() + static_cast<std::ptrdiff_t>(before); label != labels.end(); ++label) {
    DIFFIT_CHECK(*label >= 0 && *label < info.classes, "{}: label {}, wanted 0 to {}", file.path().string(),
                 *label, info.classes - 1);
  }
}

}  // namespace

std::int64_t LatentInfo::shard_images() const {
  const std::int64_t bytes = 2 * numbers() * static_cast<std::int64_t>(sizeof(float));
  return std::clamp(kShardBytes / bytes, std::int64_t{1}, kShardImages);
}

std::int64_t LatentInfo::shards() const {
  return (images + shard_images() - 1) / shard_images();
}

void LatentSums::add(std::span<const float> moments, const LatentInfo& info) {
  const auto half = static_cast<std::size_t>(info.numbers() / 2);
  for (std::size_t image = 0; image < moments.size(); image += 2 * half) {
    for (std::size_t i = image; i < image + half; ++i) {
      const double mean = moments[i], variance = std::exp(static_cast<double>(moments[i + half]));
      sum += info.scale * mean;
      squares += info.scale * info.scale * (mean * mean + variance);
    }
    numbers += static_cast<double>(half);
  }
}

double LatentSums::deviation() const {
  return std::sqrt(std::max(0.0, squares / numbers - mean() * mean()));
}

LatentDataset::LatentDataset(const fs::path& folder) : folder_(folder) {
  std::error_code none;
  DIFFIT_CHECK(holds_latents(folder),
               "{}: wanted a folder of latents; create one with diffit data encode DATA {} `vae` FILE",
               folder.string(), folder.string());
  double sum = 0, squares = 0;
  for (std::int64_t index = 0; index == 0 || index < info_.shards(); ++index) {
    const fs::path path = shard_path(folder, index);
    DIFFIT_CHECK(fs::exists(path, none),
                 "{}: incomplete, {} of {} shards exist; continue with diffit data encode", folder.string(),
                 index, index == 0 ? std::string("its") : std::to_string(info_.shards()));
    const SafetensorsFile& file = shards_.emplace_back(path);
    const ShardHeader header = read_header(file);
    if (index == 0) info_ = info_of(file, header);
    check_shard(file, header, info_, index);
    read_labels(file, info_, labels_);
    const auto share = static_cast<double>(moments_of(file, false).shape[0]) / static_cast<double>(size());
    sum += share * header.mean;
    squares += share * (header.mean * header.mean + header.deviation * header.deviation);
  }
  info_.mean = sum;
  info_.deviation = std::sqrt(std::max(0.0, squares - sum * sum));
}

void LatentDataset::read(std::int64_t index, bool mirrored, std::span<float> out) const {
  DIFFIT_CHECK(index >= 0 && index < size() && out.size() == static_cast<std::size_t>(info_.numbers()),
               "wanted latent 0..{} into {} numbers, got latent {} into {}", size() - 1, info_.numbers(),
               index, out.size());
  const std::int64_t shard = index / info_.shard_images();
  const TensorView& moments = moments_of(shards_[static_cast<std::size_t>(shard)], mirrored);
  const auto place = static_cast<std::size_t>(index - shard * info_.shard_images()) * out.size_bytes();
  std::memcpy(out.data(), moments.bytes.data() + place, out.size_bytes());
}

std::vector<std::int64_t> LatentDataset::class_counts() const {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(info_.classes));
  for (const std::int64_t label : labels_) ++counts[static_cast<std::size_t>(label)];
  return counts;
}

void read_batch(const LatentDataset& dataset, double flip, std::uint64_t seed, std::int64_t first,
                std::int64_t count, LatentBatch& batch) {
  const auto size = static_cast<std::uint64_t>(dataset.size());
  const auto numbers = static_cast<std::size_t>(dataset.info().numbers());
  batch.first = first;
  batch.moments.resize(static_cast<std::size_t>(count) * numbers);
  batch.labels.resize(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < batch.labels.size(); ++i) {
    const std::uint64_t n = static_cast<std::uint64_t>(first) + i;
    const auto index =
        static_cast<std::int64_t>(permuted(n % size, size, seed, stream_of(Purpose::data_order, n / size)));
    Random random(seed, stream_of(Purpose::augmentation, n));
    dataset.read(index, random.uniform() < flip, std::span(batch.moments).subspan(i * numbers, numbers));
    batch.labels[i] = dataset.label(index);
  }
}

bool holds_latents(const fs::path& folder) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("latents-") && name.ends_with(".safetensors")) return true;
  }
  return false;
}

void write_latent_shard(const fs::path& folder, const LatentInfo& info, const LatentShard& shard) {
  LatentSums sums;
  sums.add(shard.moments, info);
  std::uint32_t crc = 0;
  for (const auto* moments : {&shard.moments, &shard.flipped}) {
    crc = crc_of(std::as_bytes(std::span(*moments)), crc);
  }
  if (info.classes > 0) crc = crc_of(std::as_bytes(std::span(shard.labels)), crc);
  const ShardHeader header{.vae = info.vae,
                           .source = info.source,
                           .stamp = info.stamp,
                           .scale = info.scale,
                           .mean = sums.mean(),
                           .deviation = sums.deviation(),
                           .images = info.images,
                           .first = shard.index * info.shard_images(),
                           .classes = info.classes,
                           .crc32 = crc,
                           .class_names = info.class_names.empty() ? "" : json_text(Json(info.class_names))};
  const std::int64_t count = static_cast<std::int64_t>(shard.moments.size()) / info.numbers();
  const std::vector<std::int64_t> shape{count, 2 * info.channels, info.height, info.width};
  std::vector<TensorView> views{{"moments", Dtype::f32, shape, std::as_bytes(std::span(shard.moments))},
                                {"moments_flip", Dtype::f32, shape, std::as_bytes(std::span(shard.flipped))}};
  if (info.classes > 0) {
    views.push_back({"labels", Dtype::i64, {count}, std::as_bytes(std::span(shard.labels))});
  }
  write_safetensors(shard_path(folder, shard.index), views, {{kLatentsKey, json_text(write_fields(header))}});
}

bool has_latent_shard(const fs::path& folder, const LatentInfo& info, std::int64_t index) {
  std::error_code none;
  const fs::path path = shard_path(folder, index);
  if (!fs::exists(path, none)) return false;
  const SafetensorsFile file(path);
  const ShardHeader header = read_header(file);
  check_shard(file, header, info, index);
  return fits_checksum(file, header);
}

namespace {

std::vector<fs::path> shards_in(const fs::path& folder) {
  constexpr std::string_view start = "latents-", end = ".safetensors";
  std::vector<fs::path> shards;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(start) || !name.ends_with(end) || name.size() < start.size() + end.size() + 5)
      continue;
    const std::string number = name.substr(start.size(), name.size() - start.size() - end.size());
    if (number.find_first_not_of("0123456789") == std::string::npos) shards.push_back(entry.path());
  }
  return shards;
}

}  // namespace

bool holds_unstamped_shards(const fs::path& folder) {
  const std::vector<fs::path> shards = shards_in(folder);
  return std::any_of(shards.begin(), shards.end(),
                     [](const fs::path& path) { return read_header(SafetensorsFile(path)).stamp.empty(); });
}

void remove_latent_shards(const fs::path& folder) {
  const std::vector<fs::path> shards = shards_in(folder);
  for (const fs::path& path : shards) read_header(SafetensorsFile(path));  // refuses what others wrote
  for (const fs::path& path : shards) {
    std::error_code error;
    fs::remove(path, error);
    if (error) fail("{}: cannot remove: {}", path.string(), error.message());
  }
}

}  // namespace diffit::data
