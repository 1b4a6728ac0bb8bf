// Requests and replies, apart from the library that moves them.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/fields.h"
#include "server/names.h"

namespace diffit::server {

struct Request {
  std::string method;  // "GET" (also for HEAD), "POST", "PUT", "DELETE"
  std::string path;    // decoded, without the query
  std::multimap<std::string, std::string> query;
  std::multimap<std::string, std::string> headers;  // names in lower case
  std::string body;

  /// The first header of that name (in lower case), or "".
  std::string header(const std::string& name) const;
  std::optional<std::string> parameter(const std::string& name) const;
};

/// Writes a piece of a stream; false: the client is gone, or the server stops.
using Write = std::function<bool(std::string_view)>;

struct Reply {
  int status = 200;
  std::string type = "application/json", body;
  std::vector<std::pair<std::string, std::string>> headers;
  /// If set, it writes the body piece by piece, and returns at the end.
  std::function<void(const Write&)> stream;
};

Reply json_reply(const Json& value, int status = 200);

/// An error that becomes a reply.
class HttpError : public std::runtime_error {
 public:
  HttpError(int status, const std::string& message, std::string field = "")
      : std::runtime_error(message), status_(status), field_(std::move(field)) {}
  int status() const { return status_; }
  const std::string& field() const { return field_; }

 private:
  int status_;
  std::string field_;
};

/// An error of the library as one: invalid is 400, cancelled 409, failed 500. The field is the first name in
/// backticks.
HttpError as_http_error(const Error& error);
/// "steps" of "`steps`: wanted ...", or "".
std::string field_in(const std::string& message);
/// Problem details (RFC 9457), with the member `field` if it is known.
Reply problem_reply(const HttpError& error);

/// The body as a JSON object; HttpError 400 for anything else, 415 for another media type.
Json json_body(const Request& request);

/// A value of `{name}` for each name in the pattern, in order.
using PathValues = std::vector<std::string>;
using Handler = std::function<Reply(const Request&, const PathValues&)>;

/// Finds the handler of a method and path.
class Router {
 public:
  /// pattern: "/api/v1/jobs/{id}"; a value is one segment.
  void add(const std::string& method, const std::string& pattern, Handler handler);
  /// HttpError 404 or 405 without one.
  Reply route(const Request& request) const;
  /// All routes, as "GET /api/v1/jobs/{id}".
  std::vector<std::string> routes() const;

 private:
  struct Route {
    std::string method, pattern;
    std::vector<std::string> segments;
    Handler handler;
  };
  std::vector<Route> routes_;
};

}  // namespace diffit::server
