// Folders of diffusers, and a config.json that lies beside a file.
#include "model/vae_folder.h"

#include <gtest/gtest.h>

#include "base/test_folder.h"
#include "model/model_file.h"
#include "model/vae_file.h"
#include "nn/layers/weights_io.h"
#include "nn/vae/diffusers_config.h"
#include "runtime/pch.h"

namespace diffit::model {
namespace {

using testing::expect_rejected;
using testing::TemporaryFolder;

Json config_of_small() {
  return {{"_class_name", "AutoencoderKL"},
          {"_diffusers_version", "0.30.0"},
          {"act_fn", "silu"},
          {"block_out_channels", {16, 32}},
          {"layers_per_block", 1},
          {"latent_channels", 4},
          {"norm_num_groups", 8},
          {"scaling_factor", 0.13025},
          {"shift_factor", nullptr},
          {"down_block_types", {"DownEncoderBlock2D", "DownEncoderBlock2D"}}};
}

/// Writes a small autoencoder without metadata of ours.
void write_weights(const fs::path& path) {
  fs::create_directories(path.parent_path());
  const Vae vae(read_diffusers_config(config_of_small(), "test"));
  initialise(vae.parameters(), 3);
  std::vector<TensorView> views;
  const auto tensors = named_tensors(vae.parameters());
  for (const auto& [name, tensor] : tensors) views.push_back(view_of(name, tensor));
  write_safetensors(path, views, {{"format", "pt"}});
}

TEST(DiffusersConfig, ReadsScaleAndGroups) {
  const VaeConfig c = read_diffusers_config(config_of_small(), "config.json");
  EXPECT_EQ(c.channels, (std::vector<std::int64_t>{16, 32}));
  EXPECT_EQ(c.blocks, 1);
  EXPECT_EQ(c.norm_groups, 8);
  EXPECT_EQ(c.scale, 0.13025);
  Json old = config_of_small();
  old.erase("scaling_factor");
  EXPECT_EQ(read_diffusers_config(old, "config.json").scale, 0.18215);
}

TEST(DiffusersConfig, RejectsOtherArchitectures) {
  const std::pair<const char*, Json> cases[] = {
      {"_class_name", "AutoencoderTiny"},
      {"shift_factor", 0.1159},
      {"latents_mean", Json::array({0.1})},
      {"use_quant_conv", false},
      {"mid_block_add_attention", false},
      {"act_fn", "gelu"},
      {"out_channels", 4},
      {"down_block_types", Json::array({"AttnDownEncoderBlock2D", "x"})},
      {"scaling_factor", "0.1"},
      {"block_out_channels", 3},
      {"norm_num_groups", 7}};
  for (const auto& [key, value] : cases) {
    Json config = config_of_small();
    config[key] = value;
    const std::string named = std::string(key) == "norm_num_groups" ? "norm_groups" : key;
    expect_rejected([&] { read_diffusers_config(config, "config.json"); }, {"config.json", named});
  }
}

TEST(VaeFolder, AllFolderLayoutsGiveTheSameAutoencoder) {
  const TemporaryFolder folder;
  for (const std::string at : {"plain", "pipeline/vae", "cache/snapshots/0123/vae", "half"}) {
    const std::string name =
        at == "half" ? "/diffusion_pytorch_model.fp16.safetensors" : "/diffusion_pytorch_model.safetensors";
    write_weights(folder / (at + name));
    folder.write(at + "/config.json", config_of_small().dump());
  }
  folder.write("pipeline/model_index.json", "{}");
  const std::string wanted = vae_identity(load_vae(folder / "plain", at::kCPU));
  for (const char* given :
       {"plain", "pipeline", "pipeline/vae", "cache", "half", "plain/diffusion_pytorch_model.safetensors"}) {
    const OpenedVae opened = open_autoencoder(folder / given, at::kCPU);
    EXPECT_EQ(vae_identity(opened.vae), wanted) << given;
    EXPECT_EQ(opened.vae.config().scale, 0.13025) << given;
    EXPECT_EQ(opened.scale_from, "config.json") << given;
  }
}

TEST(VaeFolder, ConfigurationIsUsedForOtherFileNamesIfItMatches) {
  const TemporaryFolder folder;
  write_weights(folder / "my-vae.safetensors");
  folder.write("config.json", config_of_small().dump());
  EXPECT_EQ(load_vae(folder / "my-vae.safetensors", at::kCPU).config().scale, 0.13025);
  Json shifted = config_of_small();
  shifted["shift_factor"] = 0.1;
  folder.write("config.json", shifted.dump());
  expect_rejected([&] { load_vae(folder / "my-vae.safetensors", at::kCPU); }, {"shift_factor"});
  for (const std::string& other :
       {std::string("no JSON"), std::string(R"({"_class_name": "UNet2DConditionModel"})")}) {
    folder.write("config.json", other);
    expect_rejected([&] { load_vae(folder / "my-vae.safetensors", at::kCPU); }, {"norm_groups"});
    EXPECT_EQ(find_vae(folder / "my-vae.safetensors").config, fs::path());
  }
}

TEST(VaeFolder, ErrorsNameMissingFilesAndOtherClasses) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "empty");
  expect_rejected([&] { find_vae(folder / "empty"); }, {"empty", "no config.json"});
  folder.write("unet/config.json", R"({"_class_name": "UNet2DConditionModel"})");
  expect_rejected([&] { find_vae(folder / "unet"); }, {"UNet2DConditionModel", "AutoencoderKL"});
  write_weights(folder / "unet/diffusion_pytorch_model.safetensors");
  expect_rejected([&] { find_vae(folder / "unet/diffusion_pytorch_model.safetensors"); },
                  {"UNet2DConditionModel"});
  folder.write("bare/config.json", config_of_small().dump());
  expect_rejected([&] { find_vae(folder / "bare"); }, {"next to config.json", "diffusion_pytorch_model"});
  folder.write("bare/a.safetensors", "x");
  folder.write("bare/b.safetensors", "x");
  expect_rejected([&] { find_vae(folder / "bare"); }, {"a.safetensors, b.safetensors", "give one"});
  folder.write("lfs/config.json", "version https://git-lfs.github.com/spec/v1\n");
  expect_rejected([&] { find_vae(folder / "lfs"); }, {"config.json", "git lfs pull"});
  folder.write("two/snapshots/a/x", "");
  folder.write("two/snapshots/b/x", "");
  expect_rejected([&] { find_vae(folder / "two"); }, {"snapshots", "several autoencoders, 2"});
}

}  // namespace
}  // namespace diffit::model
