#include "io/tensors/wrapped_names.h"

#include <gtest/gtest.h>

#include <array>

namespace diffit::io {
namespace {

std::vector<TensorView> named(const std::vector<std::string>& names) {
  static constexpr std::array<std::byte, 8> kTwo{};
  std::vector<TensorView> views;
  for (const std::string& name : names) views.push_back({name, Dtype::f32, {2}, kTwo});
  return views;
}

std::vector<std::string> names_of(const std::vector<TensorView>& views) {
  std::vector<std::string> names;
  for (const TensorView& view : views) names.push_back(view.name);
  return names;
}

using Names = std::vector<std::string>;

TEST(WrappedNames, RemovesSharedPrefix) {
  const std::pair<Names, std::string> cases[] = {
      {{"module.a.b", "module.c"}, "module."},
      {{"model._orig_mod.a.b", "model._orig_mod.c"}, "model._orig_mod."},
      {{"ema.module.a.b", "ema.module.c"}, "ema.module."},
      {{"a.b", "c"}, ""}};
  for (const auto& [names, wrapper] : cases) {
    std::vector<TensorView> views = named(names);
    EXPECT_EQ(take_off_wrappers(views, Average::preferred).wrapper, wrapper);
    EXPECT_EQ(names_of(views), (Names{"a.b", "c"}));
  }
}

TEST(WrappedNames, KeepsPrefixThatIsNotShared) {
  for (const Names& names : {Names{"module.a", "b"}, Names{"model.diffusion_model.a", "first_stage_model.b"},
                             Names{"encoder.model.a"}, Names{"module."}}) {
    std::vector<TensorView> views = named(names);
    EXPECT_EQ(take_off_wrappers(views, Average::preferred).wrapper, "");
    EXPECT_EQ(names_of(views), names);
  }
}

TEST(WrappedNames, SelectsOneOfTwoSets) {
  const Names both{"model.a", "ema.a", "ema.b", "model.b"};
  const std::pair<Average, std::size_t> cases[] = {
      {Average::preferred, 1}, {Average::wanted, 1}, {Average::refused, 0}};
  for (const auto& [average, first] : cases) {
    std::vector<TensorView> views = named(both);
    for (std::size_t i = 0; i < views.size(); ++i) views[i].shape = {static_cast<std::int64_t>(i)};
    const TakenOff taken = take_off_wrappers(views, average);
    EXPECT_EQ(taken.wrapper, first == 1 ? "ema." : "model.");
    EXPECT_EQ(taken.average, first == 1);
    ASSERT_EQ(names_of(views), (Names{"a", "b"}));
    EXPECT_EQ(views[0].shape[0], static_cast<std::int64_t>(first));
  }
  std::vector<TensorView> unlike = named({"model.a", "ema.b"});
  EXPECT_EQ(take_off_wrappers(unlike, Average::preferred).wrapper, "");
  EXPECT_EQ(unlike.size(), 2u);
}

TEST(WrappedNames, IgnoresCountersOfWrapper) {
  const auto with_counter = [](const Names& names) {
    std::vector<TensorView> views = named(names);
    views.push_back({"n_averaged", Dtype::i64, {}, views.front().bytes});
    return views;
  };
  std::vector<TensorView> wrapped = with_counter({"module.a"}), plain = with_counter({"a"});
  EXPECT_EQ(take_off_wrappers(wrapped, Average::preferred).wrapper, "module.");
  EXPECT_EQ(names_of(wrapped), (Names{"a"}));
  EXPECT_EQ(take_off_wrappers(plain, Average::preferred).wrapper, "");
  EXPECT_EQ(names_of(plain), (Names{"a", "n_averaged"}));
}

}  // namespace
}  // namespace diffit::io
