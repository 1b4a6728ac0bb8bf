#include "server/access.h"

#include <gtest/gtest.h>

namespace diffit::server {
namespace {

using Headers = std::multimap<std::string, std::string>;

int status_of(const Access& access, const Headers& headers, const std::string& method = "GET",
              bool open = false) {
  Request request;
  request.method = method;
  request.path = "/api/v1/jobs";
  request.headers = headers;
  try {
    check_access(access, request, open);
  } catch (const HttpError& error) {
    return error.status();
  }
  return 200;
}

Access local() {
  Access access;
  access.host = "127.0.0.1";
  return access;
}

Access wide() {
  Access access;
  access.loopback = false;
  access.host = "0.0.0.0";
  access.token = "secret";
  access.session = "0123";
  return access;
}

TEST(Access, NamesOfThisMachineAlone) {
  for (const char* host : {"localhost:8000", "127.0.0.1:8000", "LOCALHOST", "[::1]:8000", "127.0.0.1"}) {
    EXPECT_EQ(status_of(local(), {{"host", host}}), 200) << host;
  }
  for (const char* host :
       {"evil.example:8000", "127.evil.example", "localhost.evil.example", "", "[::2]:8000"}) {
    EXPECT_EQ(status_of(local(), {{"host", host}}), 403) << host;
  }
}

TEST(Access, RequestsOfOtherSites) {
  const auto from = [](const Headers& more, const std::string& method = "POST") {
    Headers headers{{"host", "localhost:8000"}};
    headers.insert(more.begin(), more.end());
    return status_of(local(), headers, method);
  };
  EXPECT_EQ(from({{"origin", "http://localhost:8000"}, {"sec-fetch-site", "same-origin"}}), 200);
  EXPECT_EQ(from({{"origin", "http://localhost:8001"}}), 403);
  EXPECT_EQ(from({{"origin", "https://evil.example"}}), 403);
  EXPECT_EQ(from({{"origin", "null"}}), 403);
  EXPECT_EQ(from({{"origin", "localhost:8000"}}), 403);
  EXPECT_EQ(from({{"sec-fetch-site", "cross-site"}}), 403);
  EXPECT_EQ(from({{"sec-fetch-site", "same-site"}, {"sec-fetch-mode", "no-cors"}}, "GET"), 403);
  EXPECT_EQ(from({{"sec-fetch-site", "cross-site"}, {"sec-fetch-mode", "navigate"}}, "GET"), 200);
  EXPECT_EQ(from({{"sec-fetch-site", "cross-site"}, {"sec-fetch-mode", "navigate"}}), 403);
  EXPECT_EQ(from({{"sec-fetch-site", "none"}}, "GET"), 200);
}

TEST(Access, TokenOrSession) {
  const auto with = [](const std::string& name, const std::string& value) {
    return status_of(wide(), {{"host", "studio.example"}, {name, value}});
  };
  EXPECT_EQ(status_of(wide(), {{"host", "studio.example"}}), 401);
  EXPECT_EQ(status_of(wide(), {{"host", "studio.example"}}, "GET", /*open=*/true), 200);
  EXPECT_EQ(with("authorization", "Bearer secret"), 200);
  EXPECT_EQ(with("authorization", "Bearer secre"), 401);
  EXPECT_EQ(with("authorization", "Bearer secrets"), 401);
  EXPECT_EQ(with("authorization", "Bearer "), 401);
  EXPECT_EQ(with("authorization", "Basic YW55OnNlY3JldA=="), 200);  // any:secret
  EXPECT_EQ(with("authorization", "Basic c2VjcmV0"), 401);          // secret, without a user
  EXPECT_EQ(with("cookie", "a=b; diffit_session=0123"), 200);
  EXPECT_EQ(with("cookie", "diffit_session=012"), 401);
  EXPECT_EQ(with("cookie", "diffit_session="), 401);
}

TEST(Access, LoopbackAddresses) {
  for (const char* host : {"127.0.0.1", "127.1.2.3", "::1", "localhost"})
    EXPECT_TRUE(is_loopback(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "192.168.1.2", "127.evil.example", ""}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
  EXPECT_EQ(random_token().size(), 32u);
  EXPECT_NE(random_token(), random_token());
}

}  // namespace
}  // namespace diffit::server
