// compute_statistics, encode, decode, encode_data and convert_model through their public headers.
#include "diffit/autoencoder.h"
#include "diffit/convert.h"
#include "diffit/statistics.h"
#include "io/tensors/npz.h"
#include "io/tensors/safetensors.h"
#include "jobs/testing.h"
#include "model/vae_file.h"

namespace diffit::testing {
namespace {

class DataJobs : public ::testing::Test {
 protected:
  std::string write_small_vae() {
    VaeConfig config;
    config.in_channels = 1;
    config.latent_channels = 2;
    config.channels = {8, 16};
    config.blocks = 1;
    config.norm_groups = 4;
    const Vae vae(config);
    randomise(vae.parameters());
    save_weights(folder_ / "vae.safetensors", vae.parameters(), write_vae_config(config), {});
    return (folder_ / "vae.safetensors").string();
  }
  std::string path(const std::string& name) { return (folder_ / name).string(); }

  TemporaryFolder folder_;
};

TEST_F(DataJobs, StatisticsOfImages) {
  StatisticsSpec spec{.data = write_images(folder_ / "data", 6, 28),
                      .output = path("ref.npz"),
                      .features = "fashion-net",
                      .keep = 4};
  const StatisticsResult result = compute_statistics(spec, on_cpu());
  EXPECT_EQ(result.images, 6);
  EXPECT_EQ(result.width, 28);
  EXPECT_EQ(result.channels, 1);
  EXPECT_EQ(result.kept_features, 4);
  ASSERT_EQ(result.warnings.size(), 1U);
  EXPECT_NE(result.warnings[0].find("full rank"), std::string::npos);
  const NpzReader file(spec.output);
  EXPECT_EQ(file.header("mu").shape, (std::vector<std::int64_t>{result.features}));
  spec.output = path("other.npz");
  CancelsAfter monitor(0);
  EXPECT_EQ(kind_of_error([&] { compute_statistics(spec, on_cpu(), monitor); }), ErrorKind::cancelled);
  EXPECT_FALSE(fs::exists(spec.output));
  spec.output = path("other.txt");
  expect_rejected([&] { compute_statistics(spec, on_cpu()); }, {"`output`", ".npz"});
}

TEST_F(DataJobs, ImagesAreEncodedAndDecoded) {
  const std::string vae = write_small_vae(), data = write_images(folder_ / "data", 5);
  EncodeSpec spec{.vae = vae, .in = data, .out = path("latents.safetensors"), .batch = 2, .scale = 0.5};
  const EncodeResult encoded = encode(spec, on_cpu());
  EXPECT_EQ(encoded.shape, (std::vector<std::int64_t>{5, 2, 4, 4}));
  EXPECT_EQ(encoded.scale, 0.5);
  EXPECT_EQ(encoded.scale_from, "option");
  EXPECT_EQ(SafetensorsFile(spec.out).at("latents").shape, encoded.shape);
  const DecodeResult decoded =
      decode({.vae = vae, .in = spec.out, .out = path("images.npz"), .scale = 0.5}, on_cpu());
  EXPECT_EQ(decoded.shape, (std::vector<std::int64_t>{5, 1, 8, 8}));
  EXPECT_EQ(decoded.tile, 0);
  EXPECT_EQ(NpzReader(path("images.npz")).header("arr_0").shape, (std::vector<std::int64_t>{5, 8, 8, 1}));
  expect_rejected([&] { decode({.vae = vae, .in = spec.out, .out = path("x.npz"), .scale = 2}, on_cpu()); },
                  {"`scale` 0.5"});
  CancelsAfter monitor(1);
  spec.out = path("none.safetensors");
  EXPECT_EQ(kind_of_error([&] { encode(spec, on_cpu(), monitor); }), ErrorKind::cancelled);
  EXPECT_FALSE(fs::exists(spec.out));
  CancelsAfter again(0);
  EXPECT_EQ(kind_of_error([&] {
              decode({.vae = vae, .in = path("latents.safetensors"), .out = path("none.npz"), .scale = 0.5},
                     on_cpu(), again);
            }),
            ErrorKind::cancelled);
  EXPECT_FALSE(fs::exists(path("none.npz")));
}

TEST_F(DataJobs, ACancelledEncodingOfADataSetIsContinued) {
  const EncodeDataSpec spec{.data = write_images(folder_ / "data", 5),
                            .dest = path("latents"),
                            .vae = write_small_vae(),
                            .batch = 2};
  CancelsAfter monitor(1);
  EXPECT_EQ(kind_of_error([&] { encode_data(spec, on_cpu(), monitor); }), ErrorKind::cancelled);
  const LatentData latents = encode_data(spec, on_cpu());
  EXPECT_EQ(latents.images, 5);
  EXPECT_EQ(latents.channels, 2);
  EXPECT_EQ(latents.width, 4);
  EXPECT_EQ(latents.shards, 1);
  EXPECT_GT(latents.deviation, 0);
  expect_rejected([&] { encode_data({.data = spec.data, .dest = spec.dest, .vae = spec.vae, .batch = 0}); },
                  {"`batch`"});
}

TEST_F(DataJobs, ModelsAreConverted) {
  const std::string model = write_small_model<ImageDiffiT>(folder_ / "m.safetensors", small_image_config());
  const ConvertResult result =
      convert_model({.source = model, .destination = path("half.safetensors"), .dtype = "f16"});
  EXPECT_EQ(result.config, "stated");
  const SafetensorsFile file(path("half.safetensors"));
  EXPECT_EQ(static_cast<std::size_t>(result.tensors), file.tensors().size());
  std::int64_t bytes = 0;
  for (const TensorView& view : file.tensors()) {
    EXPECT_NE(view.dtype, Dtype::f32) << view.name;
    bytes += static_cast<std::int64_t>(view.bytes.size());
  }
  EXPECT_EQ(result.bytes, bytes);
  expect_rejected(
      [&] { convert_model({.source = model, .destination = path("x.safetensors"), .dtype = "i8"}); },
      {"`dtype`", "i8"});
  expect_rejected([&] { convert_model({.source = model, .destination = path("x.txt")}); }, {".safetensors"});
}

}  // namespace
}  // namespace diffit::testing
