#include "server/web_file.h"

#include <fmt/format.h>

#include "server/web.h"

namespace diffit::server {

namespace {

const char* type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return "application/json";
}

}  // namespace

Reply web_file(std::string_view name) {
  for (const auto& [known, text] : web_files()) {
    if (known != name) continue;
    Reply reply;
    reply.type = type_of(name);
    reply.body = text;
    reply.headers.emplace_back("Cache-Control", "no-cache");
    return reply;
  }
  throw HttpError(404, fmt::format("there is no file {}", name));
}

}  // namespace diffit::server
