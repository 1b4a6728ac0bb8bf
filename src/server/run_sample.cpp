#include "server/run_sample.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "config/json_text.h"
#include "io/images/image.h"
#include "io/tensors/safetensors.h"

namespace diffit::server {

namespace {

constexpr std::int64_t kPreviewImages = 16;

std::string listed(const std::vector<std::int64_t>& values) {
  return fmt::format("{}", fmt::join(values, ","));
}

std::vector<std::byte> png_of(const Image& image, const PngText& text = {}) {
  return encode_png(image, 6, text);
}

/// The state that a branch starts from. HttpError 400 if it is not kept.
StepRecord branch_state(const SampleJob& job, Store& store) {
  std::optional<StepRecord> state = store.step(job.branch_job, job.branch_step, job.branch_image);
  if (!state) {
    throw HttpError(400,
                    fmt::format("`branch`: job {} has no kept state of step {} and image {}", job.branch_job,
                                job.branch_step, job.branch_image),
                    "branch");
  }
  return std::move(*state);
}

/// The specification with the start of a branch: heun and euler multiply the starting noise by the largest
/// noise level, so that a state x of level sigma is the noise x / sigma of a grid that begins at sigma.
SampleSpec branch_spec(const SampleJob& job, const StepRecord& state, const std::string& noise_file) {
  SampleSpec spec = job.spec;
  spec.sigma_max = state.sigma;
  spec.init_noise = noise_file;
  if (!spec.sampler) spec.sampler = "heun";
  return spec;
}

/// A file in the store's folder that is removed at the end.
class NoiseFile {
 public:
  NoiseFile(const SampleJob& job, const StepRecord& state, const Store& store)
      : path_(store.folder() / ("branch-" + job.branch_job + ".safetensors")) {
    std::vector<float> noise = state.state;
    for (float& value : noise) value = static_cast<float>(value / state.sigma);
    std::vector<std::int64_t> shape{1};
    shape.insert(shape.end(), state.shape.begin(), state.shape.end());
    const TensorView views[] = {{"noise", Dtype::f32, shape, std::as_bytes(std::span(noise))}};
    write_safetensors(path_, views, {});
  }
  ~NoiseFile() {
    std::error_code none;
    fs::remove(path_, none);
  }
  NoiseFile(const NoiseFile&) = delete;
  NoiseFile& operator=(const NoiseFile&) = delete;
  std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

}  // namespace

void check_sample_job(const SampleJob& job, Store& store) {
  SampleSpec spec = job.spec;
  if (!job.branch_job.empty()) spec = branch_spec(job, branch_state(job, store), "");
  spec.seeds = listed(job.seeds);
  if (!job.labels.empty()) spec.classes = listed(job.labels);
  try {
    check_sample(spec);
  } catch (const Error& error) {
    throw as_http_error(error);
  }
}

SampleResult run_sample(const std::vector<std::shared_ptr<LiveJob>>& group, Store& store,
                        const RuntimeOptions& runtime, SampleMonitor& monitor) {
  std::vector<std::int64_t> seeds, labels;
  for (const auto& job : group) {
    seeds.insert(seeds.end(), job->sample.seeds.begin(), job->sample.seeds.end());
    labels.insert(labels.end(), job->sample.labels.begin(), job->sample.labels.end());
  }
  const SampleJob& first = group[0]->sample;
  SampleSpec spec = first.spec;
  std::optional<NoiseFile> noise;
  if (!first.branch_job.empty()) {
    const StepRecord state = branch_state(first, store);
    noise.emplace(first, state, store);
    spec = branch_spec(first, state, noise->path());
  }
  spec.seeds = listed(seeds);
  if (!labels.empty()) spec.classes = listed(labels);
  return sample(spec, runtime, monitor);
}

std::vector<ImageRecord> image_records(const LiveJob& job, const ServedModel& model,
                                       const SampleResult& result, std::int64_t first) {
  const Json made_by = parse_json(result.made_by, "made_by");
  std::vector<ImageRecord> records;
  for (std::int64_t i = 0; i < job.sample.count(); ++i) {
    const auto place = static_cast<std::size_t>(first + i);
    const Image& image = result.images.at(place);
    ImageRecord record;
    record.job = job.record.id;
    record.position = i;
    record.model = model.name;
    record.seed = static_cast<std::int64_t>(result.seeds.at(place));
    record.width = image.width;
    record.height = image.height;
    record.channels = image.channels;
    record.created = now();
    record.settings = made_by;
    record.settings["seeds"] = Json::array({record.seed});
    if (record.settings.contains("mix")) {  // the share of this image
      const std::vector<std::string> shares = split(record.settings["mix"].get<std::string>(), ',');
      record.settings["mix"] = shares[static_cast<std::size_t>(i) % shares.size()];
    }
    if (!result.labels.empty()) {
      record.label = result.labels.at(place);
      record.class_name = model.class_name(*record.label);
      record.settings["classes"] = Json::array({*record.label});
    }
    if (!job.sample.branch_job.empty()) {
      record.settings.erase("init_noise");
      record.settings["branch"] = job.record.spec["branch"];
    }
    record.png = png_of(image, {{"Software", "diffit"}, {"diffit", json_text(record.settings)}});
    // What the server takes again: its own name of the model instead of a path.
    record.settings["model"] = model.name;
    records.push_back(std::move(record));
  }
  return records;
}

std::string preview_png(const SampleStep& step, std::int64_t first, std::int64_t count) {
  const std::int64_t from = std::max(first, step.first);
  const std::int64_t to = std::min(
      {first + count, step.first + static_cast<std::int64_t>(step.estimate.size()), from + kPreviewImages});
  if (from >= to) return "";
  std::vector<Image> images;
  for (std::int64_t i = from; i < to; ++i) {
    images.push_back(step.estimate[static_cast<std::size_t>(i - step.first)]);
  }
  const std::vector<std::byte> png = encode_png(images.size() == 1 ? images[0] : grid(images, 0), 1);
  return {reinterpret_cast<const char*>(png.data()), png.size()};
}

std::vector<StepRecord> step_records(const SampleStep& step) {
  std::vector<StepRecord> records;
  const std::size_t images = step.estimate.size(),
                    size = step.state.size() / std::max<std::size_t>(images, 1);
  for (std::size_t i = 0; i < images; ++i) {
    StepRecord& record = records.emplace_back();
    record.step = step.step;
    record.position = step.first + static_cast<std::int64_t>(i);
    record.sigma = step.sigma;
    record.noisy = png_of(step.noisy[i]);
    record.estimate = png_of(step.estimate[i]);
    const auto from = step.state.begin() + static_cast<std::ptrdiff_t>(i * size);
    record.state.assign(from, from + static_cast<std::ptrdiff_t>(size));
    record.shape.assign(step.shape.begin() + 1, step.shape.end());
  }
  return records;
}

}  // namespace diffit::server
