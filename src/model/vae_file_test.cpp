// Autoencoders under the names of every layout; files that do not fit.
#include "model/vae_file.h"

#include <gtest/gtest.h>

#include "base/test_folder.h"
#include "model/model_file.h"
#include "nn/layers/weights_io.h"
#include "nn/vae/vae_names.h"
#include "runtime/pch.h"

namespace diffit::model {
namespace {

using testing::expect_rejected;
using testing::TemporaryFolder;

/// The golden autoencoder's tensors, by diffusers' current names, and the original name of each.
struct Golden {
  SafetensorsFile file{fs::path(DIFFIT_SOURCE_DIR) / "tests/golden/vae/small.safetensors"};
  Json original = parse_json(file.metadata().at("names.original"), "golden");
  Metadata metadata{{kConfigKey, file.metadata().at(kConfigKey)}};

  std::vector<TensorView> weights() const {
    std::vector<TensorView> views;
    for (TensorView view : file.tensors()) {
      if (!view.name.starts_with("weights.")) continue;
      view.name = view.name.substr(8);
      views.push_back(view);
    }
    return views;
  }
  std::vector<TensorView> in_original_names(const std::string& prefix) const {
    std::vector<TensorView> views = weights();
    for (TensorView& view : views) {
      const std::string name = original.at(view.name);
      if (name.find(".attn_1.") != std::string::npos && view.shape.size() == 2) {
        view.shape.push_back(1);
        view.shape.push_back(1);
      }
      view.name = prefix + name;
    }
    return views;
  }
  std::vector<TensorView> in_older_names() const {
    std::vector<TensorView> views = weights();
    const std::pair<std::string, std::string> names[] = {
        {".to_q.", ".query."}, {".to_k.", ".key."}, {".to_v.", ".value."}, {".to_out.0.", ".proj_attn."}};
    for (TensorView& view : views) {
      for (const auto& [now, then] : names) {
        if (const auto at = view.name.find(now); at != std::string::npos)
          view.name.replace(at, now.size(), then);
      }
    }
    return views;
  }
};

TEST(VaeFile, EveryLayoutGivesTheSameAutoencoder) {
  const Golden golden;
  const std::vector<TensorView> weights = golden.weights();
  const Vae current = load_vae(weights, golden.metadata, "current", at::kCPU);
  const std::string identity = vae_identity(current);
  EXPECT_EQ(identity.size(), 8u);
  for (const Parameter& p : current.parameters()) {
    const auto view =
        std::find_if(weights.begin(), weights.end(), [&](const auto& v) { return v.name == p.name; });
    ASSERT_NE(view, weights.end()) << p.name;
    EXPECT_TRUE(at::equal(p.tensor, to_tensor(*view).to(at::kFloat))) << p.name;
  }
  const auto same = [&](const std::vector<TensorView>& views, const std::string& where) {
    EXPECT_EQ(vae_identity(load_vae(views, golden.metadata, where, at::kCPU)), identity) << where;
  };
  same(golden.in_older_names(), "older");
  same(golden.in_original_names(""), "original");
  std::vector<TensorView> checkpoint = golden.in_original_names("first_stage_model.");
  const std::vector<float> numbers(4, 1.0F);
  for (const char* name :
       {"model.diffusion_model.out.0.bias", "cond_stage_model.x", "first_stage_model.loss.logvar"}) {
    checkpoint.push_back({name, Dtype::f32, {4}, std::as_bytes(std::span(numbers))});
  }
  same(checkpoint, "checkpoint");
}

TEST(VaeFile, IdentityDistinguishesWeights) {
  const Golden golden;
  const Vae vae = load_vae(golden.weights(), golden.metadata, "golden", at::kCPU);
  const std::string before = vae_identity(vae);
  const at::NoGradGuard no_grad;
  vae.parameters().items().back().tensor.view({-1})[0].add_(1e-3);
  EXPECT_NE(vae_identity(vae), before);
}

TEST(VaeFile, WriteThenReadIsIdentity) {
  const TemporaryFolder folder;
  const Golden golden;
  const Vae vae = load_vae(golden.weights(), golden.metadata, "golden", at::kCPU);
  save_vae(folder / "vae.safetensors", vae, {{"diffit.images", "7"}});
  const Vae back = load_vae(folder / "vae.safetensors", at::kCPU);
  EXPECT_EQ(vae_identity(back), vae_identity(vae));
  EXPECT_EQ(write_vae_config(back.config()), write_vae_config(vae.config()));
  EXPECT_EQ(SafetensorsFile(folder / "vae.safetensors").metadata().at("diffit.images"), "7");
}

TEST(VaeFile, ConfigurationIsInferredInEveryLayout) {
  VaeConfig config;
  config.channels = {32, 64, 96};
  config.blocks = 1;
  config.latent_channels = 3;
  const Vae vae(config);
  initialise(vae.parameters(), 1);
  for (const auto kind : {VaeLayout::Kind::current, VaeLayout::Kind::older, VaeLayout::Kind::original}) {
    const VaeLayout layout{kind, kind == VaeLayout::Kind::original ? "first_stage_model." : ""};
    std::vector<std::pair<std::string, at::Tensor>> tensors = named_tensors(vae.parameters());
    std::vector<TensorView> views;
    for (auto& [name, tensor] : tensors) {
      TensorView view = view_of(layout.prefix + layout.name_of(name, config.stages()), tensor);
      if (kind == VaeLayout::Kind::original && view.shape.size() == 2)
        view.shape = {view.shape[0], view.shape[1], 1, 1};
      views.push_back(view);
    }
    const Vae loaded = load_vae(views, {}, "file", at::kCPU);
    EXPECT_EQ(write_vae_config(loaded.config()), write_vae_config(config));
    EXPECT_EQ(vae_identity(loaded), vae_identity(vae));
  }
}

TEST(VaeFile, MismatchedTensorsAreListedByTheirFileNames) {
  const Golden golden;
  const auto load = [&](std::vector<TensorView> views) {
    load_vae(views, golden.metadata, "f.safetensors", at::kCPU);
  };
  std::vector<TensorView> views = golden.in_original_names("");
  std::erase_if(views, [](const TensorView& v) { return v.name == "decoder.mid.attn_1.q.weight"; });
  views.front().name = "decoder.surplus";
  for (TensorView& view : views) {
    if (view.name == "encoder.conv_in.bias") view.shape = {2, 4};
  }
  expect_rejected([&] { load(views); },
                  {"f.safetensors", "missing decoder.mid.attn_1.q.weight", "unexpected decoder.surplus",
                   "encoder.conv_in.bias: wanted shape [8]"});
  std::vector<TensorView> bad = golden.weights();
  std::vector<std::byte> bytes(bad.front().bytes.begin(), bad.front().bytes.end());
  ASSERT_EQ(bad.front().dtype, Dtype::f16);
  bytes[0] = std::byte{0x01};
  bytes[1] = std::byte{0x7e};
  bad.front().bytes = bytes;
  expect_rejected([&] { load(bad); }, {bad.front().name, "NaN"});
}

TEST(VaeFile, OtherCheckpointTensorsAreIgnored) {
  const Golden golden;
  const std::string wanted = vae_identity(load_vae(golden.weights(), golden.metadata, "f", at::kCPU));
  for (const std::string prefix : {"", "first_stage_model.", "vae."}) {
    std::vector<TensorView> views = golden.in_original_names(prefix);
    for (const char* name : {"loss.logvar", "loss.discriminator.main.0.weight", "model_ema.decay",
                             "model_ema.encoderconv_inweight", "discriminator.main.8.bias",
                             "optimizer.state.0.exp_avg", "global_step"}) {
      views.push_back(views.front());
      views.back().name = prefix + name;
    }
    views.push_back(views.front());
    views.back().name = "model.diffusion_model.out.2.bias";
    EXPECT_EQ(vae_identity(load_vae(views, golden.metadata, "f", at::kCPU)), wanted) << prefix;
    views.back().name = prefix + "encoder.surplus";
    expect_rejected([&] { load_vae(views, golden.metadata, "f", at::kCPU); },
                    {"unexpected", "encoder.surplus"});
    views.back().name = prefix + "quantize.embedding.weight";
    expect_rejected([&] { load_vae(views, golden.metadata, "f", at::kCPU); }, {"code book"});
  }
  std::vector<TensorView> two = golden.in_original_names("a.");
  for (const TensorView& view : golden.in_original_names("b.")) two.push_back(view);
  expect_rejected([&] { load_vae(two, golden.metadata, "f", at::kCPU); }, {"2 prefixes, a., b."});
}

TEST(VaeFile, ScaleIsReadFromFullCheckpoint) {
  const Golden golden;
  std::vector<TensorView> views = golden.in_original_names("first_stage_model.");
  const float scale = 0.5F;
  views.push_back({"scale_factor", Dtype::f32, {}, std::as_bytes(std::span(&scale, 1))});
  VaeConfig groups = read_vae_config(parse_json(golden.metadata.at(kConfigKey), "golden"), "golden");
  groups.scale = 0.25;
  EXPECT_EQ(load_vae(views, {}, "f", at::kCPU, groups).config().scale, 0.25);
  EXPECT_EQ(load_vae(views, golden.metadata, "f", at::kCPU).config().scale, 0.18215);
  VaeConfig wide;
  wide.channels = {32, 32};
  wide.blocks = 1;
  const Vae made(wide);
  initialise(made.parameters(), 1);
  std::vector<TensorView> plain;
  const auto tensors = named_tensors(made.parameters());
  for (const auto& [name, tensor] : tensors) plain.push_back(view_of(name, tensor));
  plain.push_back(views.back());
  EXPECT_EQ(load_vae(plain, {}, "f", at::kCPU).config().scale, 0.5);
}

TEST(VaeFile, OtherFilesAreRejected) {
  const Golden golden;
  expect_rejected([&] { load_vae({}, {}, "f", at::kCPU); }, {"autoencoder", "no tensors"});
  const Metadata latent{{kConfigKey, R"({"model": "latent"})"}};
  expect_rejected([&] { load_vae(golden.weights(), latent, "f", at::kCPU); }, {"autoencoder", "latent"});
  const Metadata vast{{kConfigKey, R"({"model": "vae", "channels": [16384, 16384, 16384]})"}};
  expect_rejected([&] { load_vae(golden.weights(), vast, "f", at::kCPU); }, {"needs", "contains"});
  // 8 channels are no 32 groups: a small autoencoder has to say how many it has.
  expect_rejected([&] { load_vae(golden.weights(), {}, "f", at::kCPU); }, {"inferred", "norm_groups"});
  std::vector<TensorView> views = golden.weights();
  std::erase_if(views, [](const TensorView& v) { return v.name.ends_with("coder.conv_in.weight"); });
  std::erase_if(views, [](const TensorView& v) { return v.name == "decoder.conv_out.weight"; });
  expect_rejected([&] { load_vae(views, {}, "f", at::kCPU); }, {"missing encoder.conv_in.weight"});
}

}  // namespace
}  // namespace diffit::model
