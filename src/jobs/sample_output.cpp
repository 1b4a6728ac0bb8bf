#include "jobs/sample_output.h"

#include <algorithm>

#include "base/error.h"
#include "base/output_check.h"
#include "base/text.h"
#include "config/json_text.h"
#include "io/tensors/npz.h"
#include "io/tensors/safetensors.h"
#include "jobs/image_output_path.h"
#include "jobs/part_file.h"
#include "jobs/sample_folder.h"
#include "nn/layers/weights_io.h"

namespace diffit::jobs {

namespace {

Json with_seed(const Json& made_by, const SampleRequest& request, std::size_t i) {
  Json object = made_by;
  object["seeds"] = Json::array({request.seeds[i]});
  if (object.contains("mix")) {  // the share of this image
    const std::vector<std::string> shares = split(object["mix"].get<std::string>(), ',');
    object["mix"] = shares[i % shares.size()];
  }
  if (!request.labels.empty()) object["classes"] = Json::array({request.labels[i]});
  return object;
}

Json with_seeds(const Json& made_by, const SampleRequest& request) {
  Json object = made_by;
  object["seeds"] = request.seeds;
  if (!request.labels.empty()) object["classes"] = request.labels;
  return object;
}

/// What an interrupted run must agree in to be gone on with.
Json identity(const SampleRequest& request, const SampleOutputOptions& options, const Json& files) {
  Json object = with_seeds(options.made_by, request);
  object["files"] = files;
  object["shape"] = options.shape;
  return object;
}

PngText png_text(const Json& made_by) {
  return {{"Software", "diffit"}, {"diffit", json_text(made_by)}};
}

class GridOutput : public SampleOutput {
 public:
  GridOutput(const SampleRequest& request, SampleOutputOptions options)
      : options_(std::move(options)), text_(png_text(with_seeds(options_.made_by, request))) {}
  void add(std::int64_t, const at::Tensor& samples) override {
    for (Image& image : to_images(samples, options_.rounding)) images_.push_back(std::move(image));
  }
  void finish() override {
    write_png(options_.path, images_.size() == 1 ? images_[0] : grid(images_, options_.columns), text_);
  }

 private:
  SampleOutputOptions options_;
  PngText text_;
  std::vector<Image> images_;
};

/// Rows are kept in a PartFile; the output is written out of it at the end.
class RowsOutput : public SampleOutput {
 public:
  RowsOutput(const SampleRequest& request, SampleOutputOptions options, std::uint64_t bytes_a_number)
      : request_(request),
        options_(std::move(options)),
        part_(options_.path, identity(request_, options_, options_.files),
              identity(request_, options_, options_.earlier_files),
              bytes_a_number *
                  static_cast<std::uint64_t>(options_.shape[0] * options_.shape[1] * options_.shape[2]),
              options_.restart) {}
  std::int64_t done() const override { return std::min(part_.rows(), count()); }
  void go_on_from(std::int64_t first) override { part_.truncate(first); }
  void finish() override {
    write();
    part_.remove();
  }
  std::string warning() const override { return part_.warning(); }

 protected:
  /// The whole output, out of all rows.
  virtual void write() = 0;
  std::int64_t count() const { return static_cast<std::int64_t>(request_.seeds.size()); }

  const SampleRequest& request_;
  SampleOutputOptions options_;
  PartFile part_;
};

class NpzOutput : public RowsOutput {
 public:
  NpzOutput(const SampleRequest& request, const SampleOutputOptions& options)
      : RowsOutput(request, options, 1) {}
  void add(std::int64_t, const at::Tensor& samples) override {
    std::vector<std::uint8_t> rows;
    for (const Image& image : to_images(samples, options_.rounding)) {
      rows.insert(rows.end(), image.pixels.begin(), image.pixels.end());
    }
    part_.append(std::as_bytes(std::span(rows)));
  }

 private:
  void write() override {
    NpzWriter writer(options_.path);
    const std::int64_t shape[] = {count(), options_.shape[1], options_.shape[2], options_.shape[0]};
    writer.begin("arr_0", Dtype::u8, shape);
    part_.read([&](std::span<const std::byte> rows) { writer.write(rows); });
    writer.end();
    if (!request_.labels.empty()) {
      const std::int64_t labels[] = {count()};
      writer.add("arr_1", Dtype::i64, labels, std::as_bytes(std::span(request_.labels)));
    }
    writer.finish();
  }
};

class SafetensorsOutput : public RowsOutput {
 public:
  SafetensorsOutput(const SampleRequest& request, const SampleOutputOptions& options)
      : RowsOutput(request, options, sizeof(float)) {}
  void add(std::int64_t, const at::Tensor& samples) override {
    const at::Tensor rows = samples.contiguous();
    part_.append(
        std::as_bytes(std::span(rows.const_data_ptr<float>(), static_cast<std::size_t>(rows.numel()))));
  }

 private:
  void write() override {
    const MappedFile rows = part_.map();
    const TensorView views[] = {{"samples",
                                 Dtype::f32,
                                 {count(), options_.shape[0], options_.shape[1], options_.shape[2]},
                                 rows.bytes()}};
    write_safetensors(options_.path, views,
                      {{"diffit.made_by", json_text(with_seeds(options_.made_by, request_))}});
  }
};

}  // namespace

bool holds_raw_samples(const fs::path& path) {
  return !is_folder_output(path) && path.extension() == ".safetensors";
}

std::unique_ptr<SampleOutput> open_sample_output(const SampleRequest& request,
                                                 const SampleOutputOptions& options) {
  check_image_output_path(options.path);
  if (is_folder_output(options.path)) {
    const auto text_of = [made_by = options.made_by, files = options.files, &request](std::size_t i) {
      Json object = with_seed(made_by, request, i);
      object["files"] = files;
      return object;
    };
    return open_sample_folder(options.path,
                              {.seeds = request.seeds,
                               .now = identity(request, options, options.files),
                               .earlier = identity(request, options, options.earlier_files),
                               .made_by = text_of},
                              options.rounding, options.restart);
  }
  const std::string extension = options.path.extension().string();
  if (extension == ".png") return std::make_unique<GridOutput>(request, options);
  // While the file is put together, its rows are on the disk twice.
  std::uint64_t numbers = request.seeds.size();
  for (const std::int64_t side : options.shape) numbers *= static_cast<std::uint64_t>(side);
  const std::uint64_t bytes = numbers * (extension == ".npz" ? 1 : sizeof(float));
  check_output_file(options.path, "-o", bytes);
  if (extension == ".npz") return std::make_unique<NpzOutput>(request, options);
  return std::make_unique<SafetensorsOutput>(request, options);
}

}  // namespace diffit::jobs
