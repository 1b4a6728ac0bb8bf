// What the tests of this layer share: small models with random weights, and a folder for them.
#pragma once

// Specifications are written with the fields that matter.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#include <gtest/gtest.h>

#include "base/random.h"
#include "base/test_folder.h"
#include "data/class_names.h"
#include "io/images/image.h"
#include "jobs/no_monitor.h"
#include "model/model_file.h"
#include "nn/diffit/image_model.h"
#include "nn/diffit/latent_model.h"

namespace diffit::testing {

using namespace jobs;

/// Every floating-point weight is drawn anew, those that start at zero too.
inline void randomise(const ParameterList& parameters) {
  initialise(parameters, 7);
  Random random(3, stream_of(Purpose::test));
  for (const Parameter& p : parameters) {
    if (p.tensor.is_floating_point()) p.tensor.add_(normal_tensor(p.tensor.sizes(), random), 0.05);
  }
}

inline ImageConfig small_image_config() {
  ImageConfig c;
  c.resolution = 8;
  c.channels = {8, 16};
  c.depth = {1, 1};
  c.window = 4;
  c.head_dim = 8;
  c.classes = 3;
  c.in_channels = 1;
  return c;
}

inline LatentConfig small_latent_config() {
  LatentConfig c;
  c.input_size = 8;
  c.hidden = 16;
  c.depth = 2;
  c.heads = 2;
  c.classes = 3;
  return c;
}

template <class Network, class Config>
std::string write_small_model(const fs::path& path, const Config& config) {
  const Network network(config);
  randomise(network.parameters());
  save_model(path, network.parameters(), config, {});
  return path.string();
}

inline at::Tensor normal_of(at::IntArrayRef shape, std::uint64_t seed) {
  Random random(seed, stream_of(Purpose::test));
  return normal_tensor(shape, random);
}

inline std::vector<float> floats_of(const at::Tensor& tensor) {
  const at::Tensor all = tensor.to(at::kFloat).contiguous();
  return {all.const_data_ptr<float>(), all.const_data_ptr<float>() + all.numel()};
}

/// A folder of `count` grey images, all different.
inline std::string write_images(const fs::path& folder, std::int64_t count, std::int64_t side = 8) {
  fs::create_directories(folder);
  for (std::int64_t i = 0; i < count; ++i) {
    Image image{side, side, 1, std::vector<std::uint8_t>(static_cast<std::size_t>(side * side))};
    Random random(11, stream_of(Purpose::test, static_cast<std::uint64_t>(i)));
    for (std::uint8_t& pixel : image.pixels) pixel = static_cast<std::uint8_t>(random.below(256));
    write_png(folder / fmt::format("{:03}.png", i), image);
  }
  return folder.string();
}

/// The kind of error that `work` ends with.
template <class F>
ErrorKind kind_of_error(F&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "wanted an error";
  return ErrorKind::failed;
}

inline RuntimeOptions on_cpu() {
  return {.device = "cpu", .dtype = "f32", .threads = 1};
}

/// Cancelled from the `allowed`-th question on.
class CancelsAfter : public TrainMonitor {
 public:
  explicit CancelsAfter(int allowed) : allowed_(allowed) {}
  bool cancelled() override { return allowed_-- <= 0; }

 private:
  int allowed_;
};

}  // namespace diffit::testing
