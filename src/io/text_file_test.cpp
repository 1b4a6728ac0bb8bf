#include "io/text_file.h"

#include "base/test_folder.h"

namespace diffit::io {
namespace {

using testing::expect_rejected;
using testing::TemporaryFolder;

TEST(TextFiles, TomlIsRead) {
  const TemporaryFolder folder;
  EXPECT_EQ(read_toml(folder.write("a.toml", "[train]\nimages = 8\n"))["train"]["images"], 8);
  EXPECT_EQ(read_toml(folder.write("bom.toml", "\xef\xbb\xbfx = 1\r\ny = 2\r\n"))["y"], 2);
}

TEST(TextFiles, WhatIsNotTomlIsNamed) {
  const TemporaryFolder folder;
  const std::string header = R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  const std::string length{static_cast<char>(header.size()), 0, 0, 0, 0, 0, 0, 0};
  const std::vector<std::pair<std::string, std::string>> cases{
      {"version https://git-lfs.github.com/spec/v1\noid sha256:44\nsize 12\n", "a git-lfs pointer"},
      {"<!DOCTYPE html><title>404</title>", "a web page ('404')"},
      {"{\"train\": {}}", "a JSON file"},
      {std::string("\xff\xfex\0=\0", 6), "UTF-16"},
      {length + header + "x", "a safetensors file"},
      {length + header + std::string(2 << 20, 'x'), "a safetensors file"},  // longer than any recipe
  };
  for (const auto& [content, wanted] : cases) {
    const fs::path path = folder.write("a.toml", content);
    expect_rejected([&] { read_toml(path); }, {"a.toml", "wanted a TOML file", wanted});
  }
  expect_rejected([&] { read_toml(folder.write("a.toml", "x = 1\ny = = 2\n")); }, {"a.toml:2:5"});
  expect_rejected([&] { read_toml(folder.write("a.toml", "\n[train]\nx = = 2\n")); }, {"a.toml:3:5"});
  expect_rejected([&] { read_toml(folder.path()); }, {"got a folder"});
  expect_rejected([&] { read_toml(folder / "none.toml"); }, {"none.toml", "No such file"});
}

TEST(TextFiles, WhatIsNotJsonIsNamed) {
  EXPECT_EQ(parse_json_file("{\"a\": 1}", "a.json")["a"], 1);
  expect_rejected([] { parse_json_file("version https://git-lfs.github.com/spec/v1\noid", "a.json"); },
                  {"a.json", "wanted a JSON file", "a git-lfs pointer"});
  expect_rejected([] { parse_json_file("<html><title>Sign in</title>", "a.json"); }, {"'Sign in'"});
  expect_rejected([] { parse_json_file("{\"a\": 1,}", "a.json"); }, {"a.json", "not valid JSON"});
}

}  // namespace
}  // namespace diffit::io
