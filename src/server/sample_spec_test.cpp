#include "server/sample_spec.h"

#include <gtest/gtest.h>

namespace diffit::server {
namespace {

const Models& models() {
  static const Models all({"fashion-mnist", "fashion-latent"});
  return all;
}

SampleJob read(const char* text) {
  return read_sample_job(Json::parse(text), models(), Limits());
}

std::string field_refused(const char* text) {
  try {
    read(text);
  } catch (const HttpError& error) {
    EXPECT_EQ(error.status(), 400);
    return error.field();
  }
  return "";
}

using Integers = std::vector<std::int64_t>;

TEST(SampleSpec, SeedsAndClasses) {
  EXPECT_EQ(read("{}").seeds, Integers{0});
  EXPECT_EQ(read("{}").model, "fashion-mnist");
  EXPECT_EQ(read(R"({"count": 3})").seeds, (Integers{0, 1, 2}));
  EXPECT_EQ(read(R"({"seeds": "5, 7-9"})").seeds, (Integers{5, 7, 8, 9}));
  EXPECT_EQ(read(R"({"seeds": [4, 4]})").seeds, (Integers{4, 4}));
  EXPECT_EQ(read(R"({"seeds": "0-11"})").labels, (Integers{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1}));
  EXPECT_EQ(read(R"({"seeds": "0-2", "classes": "Bag, 1"})").labels, (Integers{8, 1, 8}));
  EXPECT_EQ(read(R"({"seeds": "0-2", "classes": ["Bag", 1]})").labels, (Integers{8, 1, 8}));
  EXPECT_EQ(read(R"({"classes": "random"})").labels, Integers{});
}

TEST(SampleSpec, WrongFieldsAreNamed) {
  EXPECT_EQ(field_refused(R"({"model": "/etc/passwd"})"), "model");
  EXPECT_EQ(field_refused(R"({"model": "../models/fashion-mnist"})"), "model");
  EXPECT_EQ(field_refused(R"({"model": 3})"), "model");
  EXPECT_EQ(field_refused(R"({"seeds": "0-99999999999"})"), "seeds");
  EXPECT_EQ(field_refused(R"({"seeds": "9-3"})"), "seeds");
  EXPECT_EQ(field_refused(R"({"seeds": ""})"), "seeds");
  EXPECT_EQ(field_refused(R"({"seeds": [-1]})"), "seeds");
  EXPECT_EQ(field_refused(R"({"seeds": [1.5]})"), "seeds");
  EXPECT_EQ(field_refused(R"({"seeds": [18446744073709551615]})"), "seeds");
  EXPECT_EQ(field_refused(R"({"seeds": []})"), "seeds");
  EXPECT_EQ(field_refused(R"({"count": 257})"), "count");
  EXPECT_EQ(field_refused(R"({"count": 2, "seeds": "1-3"})"), "count");
  EXPECT_EQ(field_refused(R"({"classes": "<b>dress</b>"})"), "classes");
  EXPECT_EQ(field_refused(R"({"classes": [10]})"), "classes");
  EXPECT_EQ(field_refused(R"({"classes": []})"), "classes");
  EXPECT_EQ(field_refused(R"({"steps": 1e300})"), "steps");
  EXPECT_EQ(field_refused(R"({"steps": "18"})"), "steps");
  EXPECT_EQ(field_refused(R"({"guidance": true})"), "guidance");
  EXPECT_EQ(field_refused(R"({"preset": "../../secret"})"), "preset");
  EXPECT_EQ(field_refused(R"({"init_noise": "/etc/passwd"})"), "init_noise");
  EXPECT_EQ(field_refused(R"({"init_image": "/etc/passwd"})"), "init_image");
  EXPECT_EQ(field_refused(R"({"out": "/tmp/x.png"})"), "out");
  EXPECT_EQ(field_refused(R"({"keep_steps": true, "count": 5})"), "keep_steps");
  EXPECT_EQ(field_refused(R"({"branch": {"job": "a"}})"), "branch");
  EXPECT_EQ(field_refused(R"({"branch": {"job": "a", "step": 1}, "count": 2})"), "branch");
}

TEST(SampleSpec, IsTheSameJobAfterwards) {
  const char* text =
      R"({"model": "fashion-latent", "seeds": [7, 9], "classes": [1, 2], "sampler": "ddim", "steps": 20,
    "eta": 0.5, "spacing": "trailing", "guidance": 2, "guidance_channels": "all", "guidance_interval": "step:0,0.5"})";
  const Json once = to_json(read(text));
  EXPECT_EQ(once, Json::parse(text));
  EXPECT_EQ(to_json(read_sample_job(once, models(), Limits())), once);
  const Json random = to_json(read(R"({"classes": "random", "keep_steps": true})"));
  EXPECT_EQ(random["classes"], "random");
  EXPECT_EQ(random["keep_steps"], true);
}

// Jobs that differ in seeds and classes alone are made together.
TEST(SampleSpec, BatchKey) {
  const std::string key = batch_key(read(R"({"seeds": [1], "classes": [2], "steps": 9})"));
  EXPECT_EQ(batch_key(read(R"({"seeds": "5-9", "steps": 9})")), key);
  EXPECT_NE(batch_key(read(R"({"seeds": [1], "steps": 10})")), key);
  EXPECT_NE(batch_key(read(R"({"seeds": [1], "steps": 9, "guidance": 2})")), key);
  EXPECT_NE(batch_key(read(R"({"model": "fashion-latent", "sampler": "heun", "steps": 9})")), key);
  EXPECT_EQ(batch_key(read(R"({"classes": "random"})")), "");
  EXPECT_EQ(batch_key(read(R"({"keep_steps": true})")), "");
}

}  // namespace
}  // namespace diffit::server
