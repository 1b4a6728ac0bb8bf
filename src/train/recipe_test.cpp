#include "train/recipe.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace diffit::training {
namespace {

std::string refusal(const std::string& toml) {
  try {
    Recipe recipe = read_recipe(parse_toml(toml, "r.toml"), "r.toml");
    resolve_model(recipe, 32, 3, 10, "r.toml");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    return error.what();
  }
  return "";
}

TEST(Recipe, EveryPresetReadsAndWritesBackTheSame) {
  int presets = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(DIFFIT_SOURCE_DIR) / "presets")) {
    if (entry.path().extension() != ".toml") continue;
    ++presets;
    const std::string where = entry.path().filename().string();
    const Recipe recipe = read_recipe(parse_toml(read_text(entry.path(), 1 << 20), where), where);
    const Json written = write_recipe(recipe);
    const Json again = write_recipe(read_recipe(parse_toml(format_toml(written), where), where));
    const auto sorted = [](const Json& object) { return nlohmann::json::parse(object.dump()); };
    EXPECT_EQ(sorted(again), sorted(written)) << where;
  }
  EXPECT_GE(presets, 4);
}

TEST(Recipe, PresetsStatePublishedFid) {
  const auto fid = [](const char* name) {
    const fs::path path = fs::path(DIFFIT_SOURCE_DIR) / "presets" / name;
    return read_recipe(parse_toml(read_text(path, 1 << 20), name), name).published.fid;
  };
  EXPECT_EQ(fid("cifar10.toml"), 1.95);
  EXPECT_EQ(fid("ffhq64.toml"), 2.22);
}

TEST(Recipe, UnknownKeysSuggestNearest) {
  EXPECT_NE(refusal("[train]\nimagse = 5").find("'images'"), std::string::npos)
      << refusal("[train]\nimagse = 5");
  EXPECT_NE(refusal("[trian]\nimages = 5").find("'train'"), std::string::npos);
  EXPECT_NE(refusal("[model]\nchanels = [8]").find("'channels'"), std::string::npos);
}

TEST(Recipe, ReadsOptimizerAsOptimiser) {
  Json toml = parse_toml("[optimizer]\nlr = 0.25\nclip = 3", "r");
  EXPECT_EQ(read_recipe(toml, "r").optimiser.lr, 0.25);
  set_in_recipe(toml, "optimiser.lr=0.5");
  set_in_recipe(toml, " optimizer.name = adamw");
  const Recipe recipe = read_recipe(toml, "r");
  EXPECT_EQ(recipe.optimiser.lr, 0.5);
  EXPECT_EQ(recipe.optimiser.clip, 3);
  EXPECT_EQ(recipe.optimiser.name, "adamw");
  EXPECT_TRUE(write_recipe(recipe).contains("optimiser"));
  EXPECT_FALSE(write_recipe(recipe).contains("optimizer"));
  EXPECT_NE(refusal("[optimizer]\nlrr = 1").find("'lr'"), std::string::npos);
  EXPECT_NE(refusal("[optimizer]\nlr = 1\n[optimiser]\nlr = 1").find("only one"), std::string::npos);
}

TEST(Recipe, RejectsContradictions) {
  EXPECT_NE(refusal("[train]\nimages = 'many'").find("train.images"), std::string::npos);
  EXPECT_NE(refusal("[train]\nbatch = 10\nmicrobatch = 3").find("microbatch"), std::string::npos);
  EXPECT_NE(refusal("[optimiser]\nname = 'sgd'").find("adamw"), std::string::npos);
  EXPECT_NE(refusal("[optimiser]\nweight_decay = 0.1").find("adamw"), std::string::npos);
  EXPECT_NE(refusal("[model]\nresolution = 64").find("32 x 32"), std::string::npos);
  EXPECT_NE(refusal("[model]\nin_channels = 1").find("in_channels"), std::string::npos);
  EXPECT_NE(refusal("[model]\nclasses = 3").find("classes"), std::string::npos);
  EXPECT_NE(refusal("[model]\nclasses = 0\n[train]\nlabel_dropout = 0.1").find("label_dropout"),
            std::string::npos);
  EXPECT_EQ(refusal(""), "");
}

TEST(Recipe, DataCompletesModelConfiguration) {
  Recipe recipe = read_recipe(parse_toml("[data]\naugment = 0.1", "r"), "r");
  const ImageConfig config = resolve_model(recipe, 64, 1, 7, "r");
  EXPECT_EQ(config.resolution, 64);
  EXPECT_EQ(config.in_channels, 1);
  EXPECT_EQ(config.classes, 7);
  EXPECT_EQ(config.augment_labels, 9);
}

TEST(Recipe, EpochsAreResolvedIntoImagesOfTheData) {
  const auto length = [](const std::string& epochs, std::int64_t data_images) {
    Recipe recipe = read_recipe(parse_toml("[train]\nepochs = " + epochs, "r"), "r");
    resolve_epochs(recipe, data_images, "r");
    EXPECT_EQ(recipe.train.epochs, 0);
    return recipe.train.images;
  };
  EXPECT_EQ(length("400", 920), 368000);
  EXPECT_EQ(length("0.25", 500), 125);
  EXPECT_EQ(length("0.001", 10), 1);  // a training shows one image at least

  Recipe images = read_recipe(parse_toml("[train]\nimages = 77", "r"), "r");
  resolve_epochs(images, 920, "r");
  EXPECT_EQ(images.train.images, 77);

  EXPECT_NE(refusal("[train]\nimages = 5\nepochs = 2").find("train.epochs"), std::string::npos);
  EXPECT_NE(refusal("[train]\nepochs = -1").find("train.epochs"), std::string::npos);
  Recipe endless = read_recipe(parse_toml("[train]\nepochs = 1e9", "r"), "r");
  EXPECT_THROW(resolve_epochs(endless, 1'000'000, "r"), Error);
}

}  // namespace
}  // namespace diffit::training
