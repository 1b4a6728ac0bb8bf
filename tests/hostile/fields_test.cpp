#include "config/fields.h"

#include "tests/hostile/hostile.h"

namespace diffit::hostile {
namespace {

struct Settings {
  std::int64_t steps = 3;
  double lr = 0.1;
  bool flip = true;
  std::string name = "x";
  std::vector<std::int64_t> sides{1};
};

template <class V>
void visit_fields(V& v, Settings& s) {
  v("steps", s.steps, "how many", 1, 1000);
  v("lr", s.lr, "how fast", 0, 1);
  v("flip", s.flip, "whether");
  v("name", s.name, "which");
  v("sides", s.sides, "how large", 1, 1000);
}

using Cases = std::vector<std::pair<std::string, std::string>>;

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

void read_json(const std::string& text) {
  Settings settings;
  read_fields(settings, parse_json(text, "bad.json"), "bad.json");
}

void read_toml(const std::string& text) {
  Settings settings;
  read_fields(settings, parse_toml(text, "bad.toml"), "bad.toml");
}

TEST(Fields, RefuseJsonThatIsBad) {
  read_json(R"({"steps": 5, "lr": 0.5, "flip": false, "name": "y", "sides": [1, 2]})");
  const Cases cases{{"empty", ""},
                    {"nothing but space", "  \n"},
                    {"a number", "1"},
                    {"two values", "{} {}"},
                    {"deep lists", repeated("[", 100'000)},
                    {"deep lists, closed", repeated("[", 100'000) + repeated("]", 100'000)},
                    {"deep objects", repeated(R"({"a":)", 100'000)},
                    {"NaN", R"({"lr": NaN})"},
                    {"infinity", R"({"lr": 1e999})"},
                    {"minus infinity", R"({"lr": -1e999})"},
                    {"huge integer", R"({"steps": 99999999999999999999999999})"},
                    {"2^63", R"({"steps": 9223372036854775808})"},
                    {"2^64-1", R"({"steps": 18446744073709551615})"},
                    {"-2^63", R"({"steps": -9223372036854775808})"},
                    {"a fraction", R"({"steps": 1.5})"},
                    {"a text", R"({"steps": "1"})"},
                    {"null", R"({"steps": null})"},
                    {"a number for a truth", R"({"flip": 1})"},
                    {"a list of texts", R"({"sides": ["a"]})"},
                    {"a list of lists", R"({"sides": [[1]]})"},
                    {"key twice", R"({"steps": 1, "steps": 2})"},
                    {"key twice, escaped", R"({"steps": 1, "\u0073teps": 2})"},
                    {"inner key twice", R"({"a": {"b": 1, "b": 2}})"},
                    {"not UTF-8", "{\"name\": \"\xff\"}"},
                    {"half a surrogate", R"({"name": "\ud800"})"},
                    {"NUL", std::string("{}\0", 3)},
                    {"control character in text", "{\"name\": \"\x01\"}"},
                    {"comment", "{/* */}"},
                    {"unknown key of control characters", R"({"\n\u001b[2J": 1})"},
                    {"unknown key of a megabyte", "{\"" + std::string(1 << 20, 'x') + "\": 1}"},
                    {"text of a megabyte for a number", "{\"steps\": \"" + std::string(1 << 20, 'x') + "\"}"},
                    {"a megabyte that is no JSON", std::string(1 << 20, 'x')}};
  for (const auto& [label, text] : cases) {
    EXPECT_TRUE(refusal(label, "bad.json", [&, &t = text] { read_json(t); })) << label << ": was read";
  }
}

TEST(Fields, RefuseTomlThatIsBad) {
  read_toml("steps = 5\nlr = 0.5\nflip = false\nname = 'y'\nsides = [1, 2]\n");
  const Cases cases{{"text", "hello"},
                    {"deep lists", "a = " + repeated("[", 100'000)},
                    {"deep lists, closed", "a = " + repeated("[", 10'000) + repeated("]", 10'000)},
                    {"deep tables", "a = " + repeated("{a=", 100'000)},
                    {"a long dotted key", repeated("a.", 50'000) + "a = 1"},
                    {"a long dotted table", "[" + repeated("a.", 50'000) + "a]"},
                    {"NaN", "lr = nan"},
                    {"infinity", "lr = inf"},
                    {"huge exponent", "lr = 1e999"},
                    {"huge integer", "steps = 99999999999999999999999999"},
                    {"2^63", "steps = 9223372036854775808"},
                    {"-2^63", "steps = -9223372036854775808"},
                    {"a fraction", "steps = 1.5"},
                    {"a date", "steps = 1979-05-27"},
                    {"key twice", "steps = 1\nsteps = 2"},
                    {"table twice", "[a]\n[a]"},
                    {"open table", "[a\n"},
                    {"open text", "name = \"a"},
                    {"not UTF-8", "name = \"\xff\""},
                    {"NUL", std::string("steps = 1\0", 10)},
                    {"control character", "name = \"\x01\""},
                    {"unknown key of control characters", "\"\\n\\u001b[2J\" = 1"},
                    {"unknown table of control characters", "[\"\\n\\u001b[2J\"]\na = 1"},
                    {"unknown key of a megabyte", std::string(1 << 20, 'x') + " = 1"},
                    {"text of a megabyte for a number", "steps = \"" + std::string(1 << 20, 'x') + "\""},
                    {"a megabyte that is no TOML", std::string(1 << 20, '\x7f')}};
  for (const auto& [label, text] : cases) {
    EXPECT_TRUE(refusal(label, "bad.toml", [&, &t = text] { read_toml(t); })) << label << ": was read";
  }
}

TEST(Fields, RejectBadAssignments) {
  const Cases cases{{"no =", "steps"},           {"no key", "=1"},
                    {"empty parts", "a..b=1"},   {"empty", ""},
                    {"below a number", "n.a=1"}, {"deep", repeated("a.", 50'000) + "a=1"},
                    {"an open list", "a=[1,"},   {"deep list", "a=" + repeated("[", 100'000)}};
  for (const auto& [label, text] : cases) {
    Json object = {{"n", 1}};
    refusal(label, "", [&, &t = text] { set_by_path(object, t); });
  }
  Json object = {{"n", 1}};
  EXPECT_TRUE(refusal("no =", "", [&] { set_by_path(object, "steps"); }));
  EXPECT_TRUE(refusal("control characters", "", [&] { set_by_path(object, "a\n\x1b[2J"); }));
  EXPECT_TRUE(refusal("a megabyte", "", [&] { set_by_path(object, std::string(1 << 20, 'x')); }));
}

}  // namespace
}  // namespace diffit::hostile
