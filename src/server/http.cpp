#include "server/http.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "config/json_text.h"

namespace diffit::server {

namespace {

const char* title_of(int status) {
  switch (status) {
    case 400:
      return "The request is invalid";
    case 401:
      return "A token is needed";
    case 403:
      return "The request comes from another site";
    case 404:
      return "Not found";
    case 405:
      return "The method is not allowed";
    case 409:
      return "The state does not allow it";
    case 413:
      return "The body is too large";
    case 415:
      return "The media type is not supported";
    case 503:
      return "The server is busy";
    case 504:
      return "The work took too long";
    default:
      return "The server could not do it";
  }
}

/// The values of a pattern's names in a path, or nothing if it does not match.
std::optional<PathValues> match(const std::vector<std::string>& pattern,
                                const std::vector<std::string>& path) {
  if (pattern.size() != path.size()) return {};
  PathValues values;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (pattern[i].starts_with('{')) {
      if (path[i].empty()) return {};
      values.push_back(path[i]);
    } else if (pattern[i] != path[i]) {
      return {};
    }
  }
  return values;
}

}  // namespace

std::string Request::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

std::optional<std::string> Request::parameter(const std::string& name) const {
  const auto found = query.find(name);
  if (found == query.end()) return {};
  return found->second;
}

Reply json_reply(const Json& value, int status) {
  Reply reply;
  reply.status = status;
  reply.body = json_text(value) + "\n";
  return reply;
}

std::string field_in(const std::string& message) {
  const std::size_t open = message.find('`');
  const std::size_t close = open == std::string::npos ? open : message.find('`', open + 1);
  return close == std::string::npos ? "" : message.substr(open + 1, close - open - 1);
}

HttpError as_http_error(const Error& error) {
  const int status = error.kind() == ErrorKind::invalid     ? 400
                     : error.kind() == ErrorKind::cancelled ? 409
                                                            : 500;
  return {status, error.what(), field_in(error.what())};
}

Reply problem_reply(const HttpError& error) {
  Json body = {{"type", "about:blank"},
               {"title", title_of(error.status())},
               {"status", error.status()},
               {"detail", error.what()}};
  if (!error.field().empty()) body["field"] = error.field();
  Reply reply = json_reply(body, error.status());
  reply.type = "application/problem+json";
  if (error.status() == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"diffit\"");
  if (error.status() == 503) reply.headers.emplace_back("Retry-After", "2");
  return reply;
}

Json json_body(const Request& request) {
  const std::string type = request.header("content-type");
  const std::string_view media = trim(std::string_view(type).substr(0, type.find(';')));
  if (media != "application/json") {
    throw HttpError(415, fmt::format("the body: wanted Content-Type application/json, got '{}'", media));
  }
  try {
    Json body = parse_json(request.body, "the body");
    if (!body.is_object()) {
      throw HttpError(400, fmt::format("the body: wanted a JSON object, got {}", body.type_name()));
    }
    return body;
  } catch (const Error& error) {
    throw as_http_error(error);
  }
}

void Router::add(const std::string& method, const std::string& pattern, Handler handler) {
  routes_.push_back({method, pattern, split(pattern, '/'), std::move(handler)});
}

Reply Router::route(const Request& request) const {
  const std::vector<std::string> path = split(request.path, '/');
  std::string allowed;
  for (const Route& route : routes_) {
    const std::optional<PathValues> values = match(route.segments, path);
    if (!values) continue;
    if (route.method == request.method) return route.handler(request, *values);
    allowed += (allowed.empty() ? "" : ", ") + route.method;
  }
  if (allowed.empty()) throw HttpError(404, fmt::format("{}: there is no such page", request.path));
  Reply reply = problem_reply(
      HttpError(405, fmt::format("{}: takes {}, got {}", request.path, allowed, request.method)));
  reply.headers.emplace_back("Allow", allowed);
  return reply;
}

std::vector<std::string> Router::routes() const {
  std::vector<std::string> all;
  for (const Route& route : routes_) all.push_back(route.method + " " + route.pattern);
  return all;
}

}  // namespace diffit::server
