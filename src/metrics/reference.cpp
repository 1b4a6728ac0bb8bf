#include "metrics/reference.h"

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "config/json_text.h"
#include "io/tensors/npz.h"

namespace diffit::metrics {

namespace {

constexpr std::uint64_t kLargestText = 1 << 20;
constexpr std::uint64_t kLargestArray = 8ull << 30;
constexpr std::int64_t kWidest = 1 << 14;

std::string where_of(const NpzReader& file, const char* name) {
  return fmt::format("{}: array '{}'", file.path().string(), name);
}

/// Reads a float32 or float64 array of the given shape (-1: any size) as float64 or, if `single`, float32.
at::Tensor read_numbers(const NpzReader& file, const char* name, const std::vector<std::int64_t>& shape,
                        bool single = false) {
  const NpyHeader header = file.header(name);
  const std::string where = where_of(file, name);
  DIFFIT_CHECK(header.dtype == Dtype::f32 || header.dtype == Dtype::f64, "{}: wanted float32 or float64",
               where);
  bool fits = header.shape.size() == shape.size();
  for (std::size_t i = 0; fits && i < shape.size(); ++i) fits = shape[i] < 0 || header.shape[i] == shape[i];
  DIFFIT_CHECK(fits, "{}: wanted shape [{}], got [{}]", where, fmt::join(shape, ", "),
               fmt::join(header.shape, ", "));
  const NpyArray array = file.read(name, kLargestArray);
  const auto stored = header.dtype == Dtype::f32 ? at::kFloat : at::kDouble;
  const at::Tensor numbers =
      at::from_blob(const_cast<std::byte*>(array.data.data()), array.shape, at::TensorOptions(stored))
          .to(single ? at::kFloat : at::kDouble, /*non_blocking=*/false, /*copy=*/true);
  DIFFIT_CHECK(numbers.isfinite().all().item<bool>(), "{}: contains NaN or infinity", where);
  return numbers;
}

std::optional<Gaussian> read_gaussian(const NpzReader& file, const char* mean, const char* covariance) {
  if (!file.has(mean) && !file.has(covariance)) return {};
  Gaussian g;
  const std::vector<std::int64_t> shape = file.header(mean).shape;
  DIFFIT_CHECK(shape.size() == 1 && shape[0] >= 1 && shape[0] <= kWidest,
               "{}: wanted shape [D], D up to {}, got [{}]", where_of(file, mean), kWidest,
               fmt::join(shape, ", "));
  g.mean = read_numbers(file, mean, shape);
  g.covariance = read_numbers(file, covariance, {shape[0], shape[0]});
  const double largest = g.covariance.abs().max().item<double>();
  // In programs that accumulate in float32, the two triangles differ by its rounding error.
  DIFFIT_CHECK((g.covariance - g.covariance.t()).abs().max().item<double>() <= 1e-5 * largest,
               "{}: wanted a covariance, but the matrix is not symmetric", where_of(file, covariance));
  g.covariance = (g.covariance + g.covariance.t()) / 2;
  return g;
}

StatisticsInfo read_info(const NpzReader& file) {
  StatisticsInfo info;
  if (!file.has("diffit")) return info;
  const std::string where = where_of(file, "diffit");
  const NpyArray array = file.read("diffit", kLargestText);
  DIFFIT_CHECK(array.dtype == Dtype::u8, "{}: wanted bytes of JSON", where);
  const std::string text(reinterpret_cast<const char*>(array.data.data()), array.data.size());
  const Json object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  DIFFIT_CHECK(object.is_object(), "{}: wanted a JSON object", where);
  read_fields(info, object, where);
  return info;
}

void write_numbers(NpzWriter& writer, const char* name, const at::Tensor& numbers) {
  const at::Tensor whole = numbers.contiguous();
  const Dtype dtype = whole.scalar_type() == at::kFloat ? Dtype::f32 : Dtype::f64;
  writer.add(name, dtype, whole.sizes(),
             {static_cast<const std::byte*>(whole.const_data_ptr()), whole.nbytes()});
}

}  // namespace

bool is_statistics(const fs::path& path) {
  if (path.extension() != ".npz" || !fs::is_regular_file(path)) return false;
  const NpzReader file(path);
  return file.has("mu") && file.has("sigma");
}

Statistics read_statistics(const fs::path& path) {
  const NpzReader file(path);
  Statistics s;
  s.info = read_info(file);
  s.pooled = read_gaussian(file, "mu", "sigma");
  DIFFIT_CHECK(s.pooled.has_value(), "{}: wanted statistics (mu, sigma), found {}", path.string(),
               fmt::join(file.names(), ", "));
  s.spatial = read_gaussian(file, "mu_s", "sigma_s");
  s.pooled->count = s.info.images;
  if (s.spatial) s.spatial->count = s.info.images;
  if (file.has("features"))
    s.features = read_numbers(file, "features", {-1, s.pooled->width()}, /*single=*/true);
  if (file.has("arr_0")) {
    const NpyHeader header = file.header("arr_0");
    DIFFIT_CHECK(header.dtype == Dtype::u8 && header.shape.size() == 4,
                 "{}: wanted images, uint8 [N, H, W, C], got [{}]", where_of(file, "arr_0"),
                 fmt::join(header.shape, ", "));
    s.arr_images = header.shape[0];
    if (s.info.height == 0) {
      s.info.height = header.shape[1];
      s.info.width = header.shape[2];
      s.info.channels = header.shape[3];
    }
  }
  return s;
}

void write_statistics(const fs::path& path, const Statistics& s) {
  NpzWriter writer(path);
  if (s.pooled) {
    write_numbers(writer, "mu", s.pooled->mean);
    write_numbers(writer, "sigma", s.pooled->covariance);
  }
  if (s.spatial) {
    write_numbers(writer, "mu_s", s.spatial->mean);
    write_numbers(writer, "sigma_s", s.spatial->covariance);
  }
  if (s.features.defined()) write_numbers(writer, "features", s.features);
  const std::string text = json_text(write_fields(s.info));
  writer.add("diffit", Dtype::u8, std::vector<std::int64_t>{static_cast<std::int64_t>(text.size())},
             std::as_bytes(std::span(text)));
  writer.finish();
}

void check_network(const Statistics& s, const FeatureInfo& network, const std::string& where) {
  const std::string told = s.info.network.empty() ? "another network" : s.info.network;
  if (!s.info.identity.empty() && s.info.identity != network.identity) {
    reject(
        "{}: statistics of {} ({}), but `features` is {} ({}); give the network they were computed with, or "
        "compute new ones with diffit stats",
        where, told, s.info.identity, network.name, network.identity);
  }
  if (s.pooled && s.pooled->width() != network.width) {
    reject(
        "{}: statistics of {} features, but {} has {}; give the network they were computed with, or compute "
        "new ones with diffit stats",
        where, s.pooled->width(), network.name, network.width);
  }
  if (s.spatial && network.spatial > 0 && s.spatial->width() != network.spatial) {
    reject(
        "{}: mu_s has {} numbers, but the feature map of sFID has {}: it was computed from other channels; "
        "compute new statistics with diffit stats, or remove mu_s and sigma_s to compute FID only",
        where, s.spatial->width(), network.spatial);
  }
}

}  // namespace diffit::metrics
