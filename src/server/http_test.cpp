#include "server/http.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace diffit::server {
namespace {

Request asked(const std::string& method, const std::string& path) {
  Request request;
  request.method = method;
  request.path = path;
  return request;
}

int status_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const HttpError& error) {
    return error.status();
  }
  return 200;
}

TEST(Router, FindsHandlersByMethodAndSegments) {
  Router router;
  const auto named = [](const char* name) {
    return [name](const Request&, const PathValues& values) {
      Reply reply;
      reply.body = name;
      for (const std::string& value : values) reply.body += "," + value;
      return reply;
    };
  };
  router.add("GET", "/jobs", named("list"));
  router.add("POST", "/jobs", named("new"));
  router.add("GET", "/jobs/{id}/steps/{step}", named("step"));
  EXPECT_EQ(router.route(asked("POST", "/jobs")).body, "new");
  EXPECT_EQ(router.route(asked("GET", "/jobs/a b/steps/3")).body, "step,a b,3");
  EXPECT_EQ(status_of([&] { router.route(asked("GET", "/jobs//steps/3")); }), 404);
  EXPECT_EQ(status_of([&] { router.route(asked("GET", "/jobs/../jobs")); }), 404);
  EXPECT_EQ(status_of([&] { router.route(asked("GET", "/jobs/")); }), 404);
  const Reply refused = router.route(asked("DELETE", "/jobs"));
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.headers.back(), (std::pair<std::string, std::string>{"Allow", "GET, POST"}));
}

TEST(Problem, NamesTheFieldOfALibraryError) {
  const Reply reply = problem_reply(as_http_error(Error(ErrorKind::invalid, "`steps`: wanted 2, got 1")));
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.type, "application/problem+json");
  const Json body = Json::parse(reply.body);
  EXPECT_EQ(body["field"], "steps");
  EXPECT_EQ(body["detail"], "`steps`: wanted 2, got 1");
  EXPECT_EQ(as_http_error(Error(ErrorKind::failed, "disk full")).status(), 500);
  EXPECT_EQ(as_http_error(Error(ErrorKind::failed, "a ` alone")).field(), "");
}

TEST(JsonBody, TakesObjectsOfTheRightTypeOnly) {
  const auto body = [](const std::string& type, const std::string& text) {
    Request request = asked("POST", "/");
    request.headers.emplace("content-type", type);
    request.body = text;
    return json_body(request);
  };
  EXPECT_EQ(body("application/json; charset=utf-8", R"({"a": 1})")["a"], 1);
  EXPECT_EQ(status_of([&] { body("text/plain", "{}"); }), 415);
  EXPECT_EQ(status_of([&] { body("", "{}"); }), 415);
  for (const char* text : {"", "[]", "3", "{\"a\":", "{\"a\": \"\xff\"}"}) {
    EXPECT_EQ(status_of([&] { body("application/json", text); }), 400) << text;
  }
  EXPECT_EQ(status_of([&] { body("application/json", std::string(100000, '[')); }), 400);
}

}  // namespace
}  // namespace diffit::server
