#include "config/fields.h"

#include "base/test_folder.h"
#include "config/set_option.h"

#include <gtest/gtest.h>

namespace diffit::config {
namespace {

enum class Shape { square, circle, triangle };
std::span<const std::string_view> enum_names(Shape) {
  static constexpr std::string_view kNames[] = {"square", "circle", "triangle"};
  return kNames;
}

struct Toy {
  std::int64_t count = 3;
  double rate = 0.5;
  bool on = false;
  std::string kind = "adam";
  std::vector<std::int64_t> widths{1, 2};
  Shape shape = Shape::circle;
};

template <class V>
void visit_fields(V& v, Toy& t) {
  v("count", t.count, "", 1, 10);
  v("rate", t.rate, "", 0, 1);
  v("on", t.on, "");
  v("kind", t.kind, "");
  v("widths", t.widths, "", 1, 100);
  v("shape", t.shape, "of the lid");
}

std::string error_of(const std::string& toml) {
  Toy toy;
  try {
    read_fields(toy, parse_toml(toml, "toy.toml"), "toy.toml");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    return error.what();
  }
  return "";
}

TEST(Fields, ReadGivenKeysAndKeepDefaults) {
  Toy toy;
  read_fields(toy, parse_toml("count = 7\nwidths = [4, 5]\nrate = 1", "t"), "t");
  EXPECT_EQ(toy.count, 7);
  EXPECT_EQ(toy.rate, 1.0);
  EXPECT_EQ(toy.kind, "adam");
  EXPECT_EQ(toy.widths, (std::vector<std::int64_t>{4, 5}));
}

TEST(Fields, WrittenFieldsReadBackThroughToml) {
  Toy toy{.count = 9, .rate = 1e-7, .on = true, .kind = "a\"b\\c", .widths = {}, .shape = Shape::triangle};
  Json object = Json::object();
  object["toy"] = write_fields(toy);
  const Json back = parse_toml(format_toml(object), "t")["toy"];
  Toy again;
  read_fields(again, back, "t");
  EXPECT_EQ(write_fields(again), write_fields(toy));
}

TEST(Fields, AnEnumIsReadAndWrittenByItsNames) {
  Toy toy;
  read_fields(toy, parse_toml("shape = \"square\"", "t"), "t");
  EXPECT_EQ(toy.shape, Shape::square);
  EXPECT_EQ(write_fields(toy)["shape"], "square");
  EXPECT_EQ(name_of(Shape::triangle), "triangle");
  EXPECT_EQ(error_of("shape = \"cirlce\""),
            "toy.toml.shape: wanted one of square, circle, triangle, got 'cirlce'; did you mean 'circle'?");
  EXPECT_EQ(error_of("shape = 1"), "toy.toml.shape: wanted one of square, circle, triangle, got 1");
}

TEST(Fields, HelpListsTheNamesThatAFieldTakes) {
  const std::vector<FieldHelp> help = field_help(Toy());
  ASSERT_EQ(help.size(), 6U);
  EXPECT_EQ(help[0].name, "count");
  EXPECT_TRUE(help[0].allowed.empty());
  EXPECT_EQ(help[5].help, "of the lid");
  EXPECT_EQ(help[5].allowed, (std::vector<std::string>{"square", "circle", "triangle"}));
}

TEST(Fields, RejectUnquotedText) {
  // toml++ alone goes astray at these (found by fuzz_text).
  for (const char* text :
       {"a = 9\xc7\xbf", "a = 1 \xc3\xa4", "\xc3\xa4 = 1", "a = \xd2\x90", "a\xc2\xa1 = 1"}) {
    EXPECT_THROW(parse_toml(text, "t"), Error) << text;
  }
  EXPECT_EQ(parse_toml("a = '\xc3\xa4' # \xc3\xa4", "t")["a"], "\xc3\xa4");
}

TEST(Fields, RejectDuplicateAndTooManyKeys) {
  EXPECT_THROW(parse_json(R"({"a": 1, "b": {"c": 1, "c": 2}})", "t"), Error);
  EXPECT_EQ(parse_json(R"({"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]})", "t")["b"][1]["a"], 2);
  std::string many = "{";
  for (int i = 0; i < 200000; ++i) many += fmt::format("\"{}\":0,", i);
  EXPECT_THROW(parse_json(many + "\"x\":0}", "t"), Error);
}

TEST(Fields, NestingOfTablesIsLimited) {
  for (const std::size_t depth : {40u, 100'000u}) {
    std::string path = "a";
    for (std::size_t i = 0; i < depth; ++i) path += i % 2 ? ".a" : " . \"a\"";
    for (const std::string& text :
         {path + " = 1", "[" + path + "]", "[[" + path + "]]", "x = {" + path + " = 1}"}) {
      EXPECT_THROW(parse_toml(text, "t"), Error) << depth;
    }
  }
}

TEST(Fields, ANulDoesNotEndJson) {
  EXPECT_THROW(parse_json(std::string_view("{}\0{", 4), "t"), Error);
  EXPECT_THROW(parse_json(std::string_view("{}\0", 3), "t"), Error);
}

TEST(Fields, ErrorsNameKeyAndNearestKnownKey) {
  EXPECT_EQ(error_of("\"a\\nb\" = 1"), "toy.toml: unknown key 'a\\x0ab'");
  EXPECT_EQ(error_of("cuont = 1"), "toy.toml: unknown key 'cuont'; did you mean 'count'?");
  EXPECT_EQ(error_of("count = 1.5"), "toy.toml.count: wanted a whole number, got 1.5");
  EXPECT_EQ(error_of("count = 11"), "toy.toml.count: wanted 1 to 10, got 11");
  EXPECT_EQ(error_of("rate = \"x\""), "toy.toml.rate: wanted a number, got \"x\"");
  EXPECT_EQ(error_of("rate = nan"), "toy.toml.rate: wanted a finite number, got nan");
  EXPECT_EQ(error_of("widths = [1, 0]"), "toy.toml.widths[1]: wanted 1 to 100, got 0");
  EXPECT_EQ(error_of("on = 2020-01-01").substr(0, 9), "toy.toml:");
  EXPECT_EQ(error_of("count = ").substr(0, 11), "toy.toml:1:");
}

TEST(Fields, NestingBombsAreRefused) {
  EXPECT_THROW(parse_json(std::string(100000, '['), "x"), Error);
  EXPECT_THROW(parse_toml("a = " + std::string(100000, '['), "x"), Error);
}

TEST(Fields, SetByPathAcceptsTomlValuesAndBareWords) {
  Json object = Json::object();
  set_by_path(object, "train.lr=1e-3");
  set_by_path(object, "train.kind = adamw");
  set_by_path(object, "model.channels=[1,2]");
  EXPECT_EQ(object.dump(), R"({"train":{"lr":0.001,"kind":"adamw"},"model":{"channels":[1,2]}})");
  EXPECT_THROW(set_by_path(object, "train.lr"), Error);
}

using testing::expect_rejected;

TEST(SetOption, RejectsWrongTypesByName) {
  Json toml = {{"data", {{"size", 3}}}, {"model", 5}};
  set_in_table(toml, "data", "path", "x", "a.toml");
  set_in_table(toml, "eval", "features", "y", "a.toml");
  EXPECT_EQ(toml.dump(), R"({"data":{"size":3,"path":"x"},"model":5,"eval":{"features":"y"}})");
  expect_rejected([&] { set_in_table(toml, "model", "path", "x", "a.toml"); }, {"a.toml: model", "5"});
  EXPECT_EQ(read_whole_number(toml["data"], "size", 9, "a.toml: data"), 3);
  EXPECT_EQ(read_whole_number(toml["data"], "classes", 9, "a.toml: data"), 9);
  expect_rejected([&] { read_whole_number(toml["data"], "path", 9, "a.toml: data"); },
                  {"a.toml: data.path", "\"x\""});
  expect_rejected([&] { read_whole_number(toml["model"], "path", 9, "a.toml: model"); },
                  {"a.toml: model", "5"});
}

TEST(SetByPath, RejectsTextThatIsNotUtf8) {
  Json object;
  expect_rejected([&] { set_by_path(object, "data.path=caf\xe9"); },
                  {"--set data.path", "UTF-8", "caf\\xe9"});
  EXPECT_TRUE(object.is_null());
}

}  // namespace
}  // namespace diffit::config
