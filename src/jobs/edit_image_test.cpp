// init_image, strength and mask of sample(): against starting noise that is made by hand, and their rules.
#include <cmath>

#include "diffit/sample.h"
#include "diffusion/sample_request.h"
#include "diffusion/sampler.h"
#include "io/tensors/safetensors.h"
#include "jobs/testing.h"

namespace diffit::testing {
namespace {

class EditImage : public ::testing::Test {
 protected:
  EditImage() {
    write_images(folder_ / "images", 1);
    Image mask{8, 8, 1, std::vector<std::uint8_t>(64, 0)};
    for (std::int64_t y = 0; y < 8; ++y) std::fill_n(mask.row(y), 3, 255);  // three columns are made
    write_png(folder_ / "mask.png", mask);
  }
  SampleSpec spec(std::optional<double> strength) const {
    return {.model = model_,
            .seeds = "3,9",
            .classes = "1",
            .steps = 5,
            .raw = true,
            .init_image = image_,
            .strength = strength};
  }

  TemporaryFolder folder_;
  std::string model_ = write_small_model<ImageDiffiT>(folder_ / "m.safetensors", small_image_config());
  std::string image_ = (folder_ / "images/000.png").string(), mask_ = (folder_ / "mask.png").string();
};

TEST_F(EditImage, BeginsWithTheImageAndNoiseOfItsLevel) {
  const SampleResult edited = sample(spec(0.4), on_cpu());
  // By hand: the level is the one at 0.6 of Karras' grid, which has a place there if it has 6 levels.
  const double sigma = karras_sigmas(6)[3];
  const Image image = read_image(image_);
  at::Tensor x0 = at::empty({1, 8, 8}, at::kFloat);
  for (std::int64_t i = 0; i < 64; ++i)
    x0.mutable_data_ptr<float>()[i] =
        static_cast<float>(image.pixels[static_cast<std::size_t>(i)] / 127.5 - 1);
  const at::Tensor noise = at::stack({initial_noise(3, {1, 8, 8}), initial_noise(9, {1, 8, 8})}) + x0 / sigma;
  const TensorView view[] = {
      {"noise",
       Dtype::f32,
       {2, 1, 8, 8},
       {static_cast<const std::byte*>(noise.const_data_ptr()), 2 * 64 * sizeof(float)}}};
  write_safetensors(folder_ / "noise.safetensors", view, {});
  SampleSpec by_hand = spec({});
  by_hand.init_image = "";
  by_hand.init_noise = (folder_ / "noise.safetensors").string();
  by_hand.sigma_max = sigma;
  const SampleResult wanted = sample(by_hand, on_cpu());
  ASSERT_EQ(edited.samples.size(), wanted.samples.size());
  for (std::size_t i = 0; i < wanted.samples.size(); ++i)
    EXPECT_NEAR(edited.samples[i], wanted.samples[i], 1e-4) << i;
  const Json made_by = Json::parse(edited.made_by);
  EXPECT_EQ(made_by["init_image"], image_);
  EXPECT_EQ(made_by["strength"], 0.4);
  EXPECT_EQ(made_by["sigma_max"], 80);
}

TEST_F(EditImage, LessStrengthStaysNearer) {
  const Image image = read_image(image_);
  double before = 0;
  for (const double strength : {0.05, 0.3, 0.6, 0.9}) {
    SampleSpec s = spec(strength);
    s.raw = false;
    const SampleResult result = sample(s, on_cpu());
    double distance = 0;
    for (std::size_t i = 0; i < 64; ++i)
      distance += std::pow(result.images[0].pixels[i] - image.pixels[i], 2);
    EXPECT_GT(distance, before) << strength;
    before = distance;
  }
  EXPECT_NE(sample(spec({}), on_cpu()).samples, sample(spec(0.5), on_cpu()).samples);
  EXPECT_EQ(sample(spec({}), on_cpu()).samples, sample(spec(0.6), on_cpu()).samples);
}

TEST_F(EditImage, MaskKeepsWhatIsBlack) {
  const Image image = read_image(image_);
  for (const std::optional<double> strength : {std::optional<double>(), std::optional<double>(0.5)}) {
    SampleSpec s = spec(strength);
    s.mask = mask_;
    s.raw = false;
    const SampleResult result = sample(s, on_cpu());
    int moved = 0, differ = 0;
    for (std::size_t i = 0; i < 64; ++i) {
      if (i % 8 >= 3) {
        EXPECT_EQ(result.images[0].pixels[i], image.pixels[i]) << i;
        continue;
      }
      moved += result.images[0].pixels[i] != image.pixels[i] ? 1 : 0;
      differ += result.images[0].pixels[i] != result.images[1].pixels[i] ? 1 : 0;
    }
    EXPECT_GT(moved, 12);
    EXPECT_GT(differ, 12);  // between the seeds
  }
}

TEST_F(EditImage, MixedNoiseLiesOnTheArcBetweenSeeds) {
  SampleSpec s = spec({});
  s.init_image = "";
  s.seeds = "3,3,3";
  s.mix_seed = 9;
  s.mix = "0,0.25,1";
  const SampleResult mixed = sample(s, on_cpu());
  // By hand: eq. 67 of DDIM.
  const at::Tensor a = initial_noise(3, {1, 8, 8}).to(at::kDouble),
                   b = initial_noise(9, {1, 8, 8}).to(at::kDouble);
  const double angle = std::acos(((a * b).sum() / (a.norm() * b.norm())).item<double>());
  const at::Tensor between = (std::sin(0.75 * angle) * a + std::sin(0.25 * angle) * b)
                                 .div(std::sin(angle))
                                 .to(at::kFloat)
                                 .contiguous();
  EXPECT_NEAR(between.norm().item<double>(), 0.75 * a.norm().item<double>() + 0.25 * b.norm().item<double>(),
              0.5);
  const TensorView view[] = {{"noise",
                              Dtype::f32,
                              {1, 1, 8, 8},
                              {static_cast<const std::byte*>(between.const_data_ptr()), 64 * sizeof(float)}}};
  write_safetensors(folder_ / "between.safetensors", view, {});
  const auto one = [&](const std::string& seeds, const std::string& noise) {
    SampleSpec plain = spec({});
    plain.init_image = "";
    plain.seeds = seeds;
    plain.init_noise = noise;
    return sample(plain, on_cpu()).samples;
  };
  const std::vector<std::vector<float>> wanted{
      one("3", ""), one("3", (folder_ / "between.safetensors").string()), one("9", "")};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t k = 0; k < 64; ++k) EXPECT_NEAR(mixed.samples[i * 64 + k], wanted[i][k], 1e-4) << i;
  }
}

TEST_F(EditImage, WrongFieldsAreNamed) {
  const auto wrong = [&](auto change) {
    SampleSpec s = spec(0.5);
    change(s);
    return [this, s] { sample(s, on_cpu()); };
  };
  expect_rejected(wrong([](SampleSpec& s) { s.strength = 0; }), {"`strength`"});
  expect_rejected(wrong([](SampleSpec& s) { s.strength = 1.1; }), {"`strength`"});
  expect_rejected(wrong([](SampleSpec& s) { s.strength = 1; }), {"`init_image`", "`mask`"});
  expect_rejected(wrong([](SampleSpec& s) { s.init_image = ""; }), {"`strength` needs `init_image`"});
  expect_rejected(wrong([&](SampleSpec& s) {
                    s.init_image = "";
                    s.strength = {};
                    s.mask = mask_;
                  }),
                  {"`mask` needs `init_image`"});
  expect_rejected(wrong([&](SampleSpec& s) { s.init_noise = "x"; }), {"`init_noise`"});
  expect_rejected(wrong([&](SampleSpec& s) { s.init_image = (folder_ / "m.safetensors").string(); }),
                  {"m.safetensors"});
  for (const char* mix : {"2", "-0.1", "x", "0,,1"}) {
    expect_rejected(wrong([&](SampleSpec& s) {
                      s.mix_seed = 1;
                      s.mix = mix;
                    }),
                    {"`mix`"});
  }
  expect_rejected(wrong([](SampleSpec& s) { s.mix_seed = 1; }), {"`mix_seed` needs `mix`"});
  expect_rejected(wrong([](SampleSpec& s) { s.mix = "1"; }), {"`mix` needs `mix_seed`"});
  Image black{8, 8, 1, std::vector<std::uint8_t>(64, 0)};
  write_png(folder_ / "black.png", black);
  expect_rejected(wrong([&](SampleSpec& s) { s.mask = (folder_ / "black.png").string(); }),
                  {"`mask`", "black"});
  const std::string latent =
      write_small_model<LatentDiffiT>(folder_ / "l.safetensors", small_latent_config());
  expect_rejected(wrong([&](SampleSpec& s) { s.model = latent; }), {"`sampler` heun or euler", "ddpm"});
  expect_rejected(wrong([&](SampleSpec& s) {
                    s.model = latent;
                    s.sampler = "heun";
                  }),
                  {"`init_image`", "`vae`"});
}

}  // namespace
}  // namespace diffit::testing
