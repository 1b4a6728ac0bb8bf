// Jobs about data sets, autoencoders and files, through their public headers.
#include "diffit/autoencoder.h"
#include "diffit/convert.h"
#include "diffit/data.h"
#include "diffit/describe.h"
#include "diffit/ema.h"
#include "diffit/statistics.h"
#include "diffit/train_plan.h"
#include "io/tensors/npz.h"
#include "io/tensors/safetensors.h"
#include "jobs/result_json.h"
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

TEST_F(DataJobs, ADataSetIsConverted) {
  const std::string data = write_images(folder_ / "data", 5);
  fs::copy_file(folder_ / "data/000.png", folder_ / "data/zzz.png");
  write_png(folder_ / "data/odd.png", Image{3, 2, 1, std::vector<std::uint8_t>(6)});
  ConvertDataSpec spec{.data = data, .dest = path("set.zip"), .skip_broken = true, .threads = 1};
  CancelsAfter monitor(0);
  EXPECT_EQ(kind_of_error([&] { convert_data(spec, monitor); }), ErrorKind::cancelled);
  EXPECT_FALSE(fs::exists(spec.dest));
  const ConvertDataResult result = convert_data(spec);
  EXPECT_EQ(result.images, 6);
  EXPECT_EQ(result.resolution, 8);
  EXPECT_EQ(result.channels, 1);
  EXPECT_EQ(result.classes, 0);
  ASSERT_EQ(result.skipped.size(), 1U);
  EXPECT_EQ(result.skipped[0].name, "odd.png");
  EXPECT_EQ(result.skipped[0].index, 5);  // in the order of names
  const Json json = json_of(result);
  EXPECT_EQ(json["skipped"][0]["reason"], result.skipped[0].reason);
  EXPECT_EQ(json["source"]["format"], "folder");
  EXPECT_EQ(describe_data({.data = spec.dest}).images, 6);
  spec.crop = "round";
  expect_rejected([&] { convert_data(spec); }, {"`crop`", "round"});
}

TEST_F(DataJobs, ADescriptionSaysWhyDataIsRefused) {
  const std::string data = write_images(folder_ / "data", 5);
  const DescribeDataResult good = describe_data({.data = data, .check = true, .strict = true, .threads = 1});
  EXPECT_EQ(good.images, 5);
  EXPECT_EQ(good.width, 8);
  EXPECT_EQ(good.channels, 1);
  EXPECT_EQ(good.refusal, "");
  EXPECT_EQ(Json::parse(good.json)["data"], data);
  EXPECT_EQ(good.text.find("folder"), 0U) << good.text;
  write_png(folder_ / "data/odd.png", Image{3, 2, 1, std::vector<std::uint8_t>(6)});
  const DescribeDataResult odd = describe_data({.data = data, .check = true, .threads = 1});
  EXPECT_NE(odd.refusal.find("`check`: 1 of 6 images"), std::string::npos) << odd.refusal;
  EXPECT_NE(odd.refusal.find("odd.png (3x2)"), std::string::npos) << odd.refusal;
  ASSERT_FALSE(odd.warnings.empty());
  const DescribeDataResult strict = describe_data({.data = data, .strict = true, .threads = 1});
  EXPECT_NE(strict.refusal.find(strict.warnings[0]), std::string::npos) << strict.refusal;
  CancelsAfter monitor(0);
  EXPECT_EQ(kind_of_error([&] { describe_data({.data = data}, monitor); }), ErrorKind::cancelled);
}

TEST_F(DataJobs, APreviewIsAGridOfImages) {
  const std::string data = write_images(folder_ / "data", 7);
  PreviewDataSpec spec{.data = data, .out = path("x.png"), .count = 4, .columns = 2, .scale = 3};
  const PreviewDataResult result = preview_data(spec);
  EXPECT_EQ(result.images, 4);
  const Image sheet = read_image(spec.out);
  EXPECT_GE(sheet.width, 2 * 3 * 8);
  EXPECT_EQ(sheet.width, sheet.height);
  spec.by_class = true;
  expect_rejected([&] { preview_data(spec); }, {"`by_class`", "labels"});
  spec = {.data = data, .out = path("y.png"), .scale = 0};
  expect_rejected([&] { preview_data(spec); }, {"`scale`"});
  spec.scale = 1;
  CancelsAfter monitor(1);
  EXPECT_EQ(kind_of_error([&] { preview_data(spec, monitor); }), ErrorKind::cancelled);
  EXPECT_FALSE(fs::exists(spec.out));
}

TEST_F(DataJobs, FilesAreDescribed) {
  const std::string model = write_small_model<ImageDiffiT>(folder_ / "m.safetensors", small_image_config());
  const DescribeResult described = describe({.what = model, .check = true});
  const Json json = Json::parse(described.json);
  EXPECT_EQ(json["kind"], "model");
  EXPECT_EQ(json["config"]["classes"], 3);
  EXPECT_TRUE(json.contains("load_seconds"));
  EXPECT_NE(described.text.find(" parameters, "), std::string::npos);
  EXPECT_EQ(Json::parse(describe({.what = write_small_vae()}).json)["kind"], "autoencoder");
  const std::string data = write_images(folder_ / "data", 3);
  EXPECT_EQ(Json::parse(describe({.what = data}, on_cpu()).json)["data"], data);
  EXPECT_EQ(Json::parse(describe({.what = data + "/001.png"}).json)["width"], 8);
  EXPECT_EQ(Json::parse(describe({.what = "cifar10", .classes = true}).json)["classes"].size(), 10U);
  const Json here = Json::parse(describe({}, on_cpu()).json);
  EXPECT_EQ(here["version"], version());
  EXPECT_EQ(here["device"], "cpu");
  expect_rejected([&] { describe({.what = path("none.safetensors")}); }, {"none.safetensors"});
}

TEST_F(DataJobs, AverageNeedsSnapshotsAndAWidth) {
  fs::create_directories(folder_ / "run");
  EmaSpec spec{.run = path("run"), .out = path("ema.safetensors"), .std = 0.5};
  expect_rejected([&] { reconstruct_ema(spec); }, {"`std`", "0.28", "0.5"});
  spec.std = 0.1;
  expect_rejected([&] { reconstruct_ema(spec); }, {path("run")});
  EXPECT_FALSE(fs::exists(spec.out));
}

TEST_F(DataJobs, TheCostOfATrainingIsKnownBeforeIt) {
  const TrainSpec spec{.config = "smoke",
                       .set = {"train.images=640", "train.snapshot_images=320"},
                       .data = write_images(folder_ / "data", 8, 16),
                       .out = path("run")};
  const TrainPlan plan = plan_training(spec, on_cpu());
  EXPECT_EQ(plan.data.images, 8);
  EXPECT_EQ(plan.data.resolution, 16);
  EXPECT_EQ(plan.steps, 20);
  EXPECT_GT(plan.seconds, 0);
  EXPECT_NEAR(plan.flops, 640 * plan.flops_per_image, 1e-6 * plan.flops);
  EXPECT_EQ(plan.text.find(plan.config), 0U);
  EXPECT_EQ(Json::parse(plan.json)["parameters"], plan.parameters);
  EXPECT_FALSE(fs::exists(spec.out));
  expect_rejected([&] { plan_training({.config = "smoke", .set = {"train.batch=0"}}, on_cpu()); },
                  {"train.batch"});
}

}  // namespace
}  // namespace diffit::testing
