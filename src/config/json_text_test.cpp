#include "config/json_text.h"

#include <gtest/gtest.h>

namespace diffit::config {
namespace {

TEST(JsonText, NeverThrowsAndEscapesOutput) {
  const nlohmann::ordered_json value = {{"caf\xe9", "a\x1b\xc2\x9b\xe2\x80\xae\x7f\n"}, {"n", 1.5}};
  const std::string text = json_text(value);
  EXPECT_EQ(text, R"({"caf)"
                  "\xef\xbf\xbd"
                  R"(":"a\u001b\u009b\u202e\u007f\n","n":1.5})");
  EXPECT_EQ(nlohmann::json::parse(text).begin().value(), "a\x1b\xc2\x9b\xe2\x80\xae\x7f\n");
  EXPECT_EQ(json_text(nlohmann::json{{"a", 1}}, 1), "{\n \"a\": 1\n}");
}

}  // namespace
}  // namespace diffit::config
