#include "data/class_names.h"

#include "base/test_folder.h"

namespace diffit::data {
namespace {

using testing::expect_rejected;

fs::path tables() {
  return fs::path(DIFFIT_SOURCE_DIR) / "presets/classes";
}

TEST(ClassNames, TablesNameEachLabelUniquely) {
  EXPECT_EQ(read_class_names(tables() / "imagenet.txt").size(), 1000);
  EXPECT_EQ(read_class_names(tables() / "cifar10.txt").size(), 10);
  EXPECT_EQ(read_class_names(tables() / "fashion-mnist.txt").name(9), "Ankle boot");
}

TEST(ClassNames, MatchWholeNamesIgnoringCase) {
  const ClassNames names = read_class_names(tables() / "imagenet.txt");
  EXPECT_EQ(names.find("golden retriever"), 207);
  EXPECT_EQ(names.find("Golden Retriever "), 207);
  EXPECT_EQ(names.find("tench"), 0);
  EXPECT_EQ(names.find("toilet tissue"), 999);
  EXPECT_EQ(names.find("polar bear"), 296);
  EXPECT_EQ(names.find("bee"), 309) << "though bee eater begins so";
  EXPECT_EQ(names.find("crane"), 517);
  for (std::int64_t label = 0; label < names.size(); ++label)
    for (const std::string& name : names.all_names(label)) EXPECT_EQ(names.find(name), label) << name;
}

TEST(ClassNames, MatchUniquePrefixes) {
  const ClassNames names = read_class_names(tables() / "imagenet.txt");
  EXPECT_EQ(names.find("golden r"), 207);
  EXPECT_EQ(names.find("yellow lady"), 986);
  expect_rejected([&] { names.find("xyzzy"); }, {"no class"});
}

TEST(ClassNames, UnknownNameSuggestsNearest) {
  const ClassNames names = read_class_names(tables() / "imagenet.txt");
  expect_rejected([&] { names.find("goldn retriever"); },
                  {"'goldn retriever'", "did you mean 'golden retriever'"});
  expect_rejected([&] { names.find("African"); }, {"may be", "African chameleon", "African elephant"});
  expect_rejected([&] { names.find(" "); }, {"nothing"});
}

TEST(ClassNames, NamesOfTheModelTakePrecedence) {
  const auto names_of = [](const char* model, const Metadata& metadata, std::int64_t classes) {
    return class_names_of(model, metadata, classes, tables());
  };
  const Metadata own{{kClassNamesKey, R"(["cat", ["dog", "hound"]])"}};
  EXPECT_EQ(names_of("m.safetensors", own, 2)->find("hound"), 1);
  EXPECT_EQ(names_of("models/fashion-mnist.safetensors", {}, 10)->find("dress"), 3);
  EXPECT_EQ(names_of("m.safetensors", {}, 1000)->find("tench"), 0);
  EXPECT_FALSE(names_of("m.safetensors", {}, 10));
  expect_rejected([&] { names_of("m.safetensors", own, 3); }, {"m.safetensors", "2 names for 3 classes"});
  expect_rejected([&] { names_of("m", {{kClassNamesKey, "{}"}}, 1); }, {"wanted a list"});
  expect_rejected([&] { names_of("m", {{kClassNamesKey, "[1]"}}, 1); }, {"label 0"});
  expect_rejected([&] { names_of("m", {{kClassNamesKey, R"(["a","A"])"}}, 2); }, {"both named 'A'"});
  expect_rejected([&] { names_of("m", {{kClassNamesKey, R"([[]])"}}, 1); }, {"has no name"});
}

TEST(ClassNames, OfADataSetBecomeMetadata) {
  const Metadata named = class_metadata({"cat", "dog", "emu"}, {4, 0, 2}, 3);
  EXPECT_EQ(class_names_of("m", named, 3, tables())->find("emu"), 2);
  EXPECT_EQ(empty_classes_of(named, 3, "m"), std::vector<std::int64_t>{1});
  EXPECT_TRUE(class_metadata({}, {1, 1}, 2).empty());
  EXPECT_EQ(class_metadata({"a", "b"}, {1, 1}, 3), (Metadata{{kEmptyClassesKey, "[2]"}}));
  // Names that do not distinguish the classes.
  for (const std::vector<std::string>& names :
       {std::vector<std::string>{"Cat", "cat"}, std::vector<std::string>{"", "b"},
        std::vector<std::string>{"1", "2"}})
    EXPECT_FALSE(class_metadata(names, {1, 1}, 2).contains(kClassNamesKey)) << names[0];
  EXPECT_TRUE(class_metadata({}, {}, 2).empty());  // unknown counts
  for (const char* bad : {"{}", "[0, 1]", "[-1]", "[2]", "[1, 0]", "[0.5]"})
    expect_rejected(
        [&] {
          empty_classes_of({{kEmptyClassesKey, bad}}, 2, "m.safetensors");
        },
        {"m.safetensors", kEmptyClassesKey});
}

}  // namespace
}  // namespace diffit::data
