#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "capi/last_error.h"
#include "capi/spec_reader.h"
#include "capi/torch_settings.h"
#include "diffit/c.h"

namespace diffit::capi {
namespace {

TEST(FieldOf, IsTheFirstNameInBackticks) {
  EXPECT_EQ(field_of("`steps`: wanted 1 to 1000, got 0"), "steps");
  EXPECT_EQ(field_of("no metric of `samples` and `reference`"), "samples");
  EXPECT_EQ(field_of("run `diffit stats x` first"), "");
  EXPECT_EQ(field_of("an odd ` alone"), "");
  EXPECT_EQ(field_of(""), "");
}

TEST(SpecReader, ReadsFieldsAndLeavesTheRest) {
  SpecReader reader(R"({"a": 3, "b": null, "c": [ "x", "y" ], "d": 1, "e": true, "f": 2.0})", "spec");
  std::int64_t a = 0, b = 7;
  std::vector<std::string> c;
  std::optional<double> d;
  std::optional<std::string> missing;
  bool e = false;
  int f = 0;
  reader("a", a);
  reader("b", b);
  reader("c", c);
  reader("d", d);
  reader("e", e);
  reader("f", f);
  reader("missing", missing);
  reader.finish();
  EXPECT_EQ(a, 3);
  EXPECT_EQ(b, 7) << "null leaves the default";
  EXPECT_EQ(c, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(d, 1.0);
  EXPECT_TRUE(e);
  EXPECT_EQ(f, 2) << "2.0 is a whole number";
  EXPECT_FALSE(missing);
}

/// The message of reading `steps` (a whole number) and `name` (text) from `text`.
std::string refusal(const char* text) {
  try {
    SpecReader reader(text, "spec");
    std::int64_t steps = 0;
    std::string name;
    reader("steps", steps);
    reader("name", name);
    reader.finish();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    return error.what();
  }
  return "";
}

TEST(SpecReader, NamesTheWrongField) {
  EXPECT_EQ(field_of(refusal(R"({"steps": "many"})")), "steps");
  EXPECT_EQ(field_of(refusal(R"({"steps": 1.5})")), "steps");
  EXPECT_EQ(field_of(refusal(R"({"steps": 18446744073709551615})")), "steps");
  EXPECT_EQ(field_of(refusal(R"({"name": ["a"]})")), "name");
  EXPECT_EQ(field_of(refusal(R"({"name": "a\u0000b"})")), "name");
  const std::string unknown = refusal(R"({"step": 3})");
  EXPECT_EQ(field_of(unknown), "step");
  EXPECT_NE(unknown.find("'steps'"), std::string::npos) << unknown;
  EXPECT_NE(refusal("[1]"), "");
  EXPECT_NE(refusal("{"), "");
}

TEST(CInterface, KeepsTheErrorOfEachThread) {
  diffit_result* result = nullptr;
  EXPECT_EQ(diffit_run("sample", R"({"steps": "many"})", nullptr, &result), DIFFIT_INVALID);
  EXPECT_EQ(result, nullptr);
  std::thread([] {
    EXPECT_EQ(diffit_run("no-such-job", "{}", nullptr, nullptr), DIFFIT_INVALID);
    EXPECT_STREQ(diffit_last_error().field, "");
  }).join();
  EXPECT_EQ(diffit_last_error().kind, DIFFIT_INVALID);
  EXPECT_STREQ(diffit_last_error().field, "steps");
  EXPECT_EQ(diffit_run("trian", "{}", nullptr, &result), DIFFIT_INVALID);
  EXPECT_NE(std::string(diffit_last_error().message).find("'train'"), std::string::npos);
}

/// The field of the error of a job that is refused before it starts.
std::string refused_field(const char* job, const char* spec) {
  diffit_result* result = nullptr;
  EXPECT_EQ(diffit_run(job, spec, nullptr, &result), DIFFIT_INVALID) << job << " " << spec;
  EXPECT_EQ(result, nullptr);
  return diffit_last_error().field;
}

TEST(CInterface, NamesTheWrongFieldOfEveryJob) {
  for (const char* job :
       {"sample", "evaluate", "statistics", "explain", "encode", "decode", "encode_data", "convert_data"}) {
    EXPECT_EQ(refused_field(job, R"({"no_such": 1})"), "no_such") << job;
    EXPECT_EQ(refused_field(job, R"({"threads": "many"})"), "threads") << job;
  }
  EXPECT_EQ(refused_field("train", R"({"config": "smoke", "no_such": 1})"), "no_such");
  EXPECT_EQ(refused_field("statistics", R"({"output": "x.txt"})"), "output");
  EXPECT_EQ(refused_field("encode", R"({"out": "x.png"})"), "out");
  EXPECT_EQ(refused_field("convert_data", R"({"size": -1})"), "size");
  EXPECT_EQ(refused_field("convert_data", R"({"crop": "round"})"), "crop");
}

TEST(CInterface, RefusesHandlesThatAreNotOpen) {
  auto* const never = reinterpret_cast<diffit_model*>(16);
  EXPECT_EQ(diffit_model_info(never), nullptr);
  DLManagedTensor* out = nullptr;
  EXPECT_EQ(diffit_model_denoise(never, nullptr, nullptr, nullptr, &out), DIFFIT_INVALID);
  EXPECT_NE(std::string(diffit_last_error().message).find("closed"), std::string::npos);
  diffit_model_close(never);
  diffit_model_close(nullptr);
  diffit_result_free(nullptr);
  EXPECT_EQ(diffit_result_json(nullptr), nullptr);
}

TEST(CInterface, LeavesTheNumberOfThreads) {
  const int before = at::get_num_threads();
  {
    const TorchSettings settings;
    at::set_num_threads(before + 1);
  }
  EXPECT_EQ(at::get_num_threads(), before);
}

TEST(CInterface, RefusesAForkedProcess) {
  check_process();
  const pid_t child = ::fork();
  if (child == 0) {
    diffit_result* result = nullptr;
    const bool refused = diffit_run("sample", "{}", nullptr, &result) == DIFFIT_FAILED &&
                         std::string(diffit_last_error().message).find("forked") != std::string::npos;
    ::_exit(refused ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace diffit::capi
