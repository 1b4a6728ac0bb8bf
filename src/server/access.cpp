#include "server/access.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "base/text.h"

namespace diffit::server {

namespace {

/// "[::1]:8000" -> "[::1]", "name:80" -> "name"; lower case.
std::string without_port(std::string host) {
  std::transform(host.begin(), host.end(), host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::size_t bracket = host.find(']');
  const std::size_t colon = host.find(':', bracket == std::string::npos ? 0 : bracket);
  return host.substr(0, colon);
}

std::string decoded64(const std::string& text) {
  static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned buffer = 0;
  int bits = 0;
  for (const char c : text) {
    const std::size_t value = digits.find(c);
    if (value == std::string::npos) break;
    buffer = buffer << 6 | static_cast<unsigned>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>(buffer >> bits & 0xff);
    }
  }
  return out;
}

/// The value of a cookie, or "".
std::string cookie(const Request& request, const std::string& name) {
  const auto [first, last] = request.headers.equal_range("cookie");
  for (auto header = first; header != last; ++header) {
    for (const std::string& part : split(header->second, ';')) {
      const std::string_view pair = trim(part);
      if (pair.starts_with(name + "=")) return std::string(pair.substr(name.size() + 1));
    }
  }
  return "";
}

void check_host(const Access& access, const Request& request) {
  const std::string host = request.header("host");
  if (!access.loopback) return;  // the token is what keeps others out
  const std::string name = without_port(host);
  if (name == "localhost" || name == "[::1]" || is_loopback(name) || name == without_port(access.host)) {
    return;
  }
  throw HttpError(403, fmt::format("Host '{}': this server answers to localhost and 127.0.0.1 only", host));
}

/// What another site makes a browser send is refused, also where it could not read the reply.
void check_origin(const Request& request) {
  const std::string site = request.header("sec-fetch-site");
  const bool navigation = request.header("sec-fetch-mode") == "navigate" && request.method == "GET";
  const bool elsewhere = site == "cross-site" || site == "same-site";
  if (elsewhere && !navigation) throw HttpError(403, "another site made this request");
  const std::string origin = request.header("origin");
  if (origin.empty()) return;
  const std::size_t scheme = origin.find("://");
  const std::string place = scheme == std::string::npos ? "" : origin.substr(scheme + 3);
  if (place.empty() || place != request.header("host")) {
    throw HttpError(403, fmt::format("Origin '{}' is not this server", origin));
  }
}

}  // namespace

bool is_loopback(const std::string& host) {
  const bool digits = host.find_first_not_of("0123456789.") == std::string::npos;
  return host == "localhost" || host == "::1" || (digits && host.starts_with("127."));
}

std::string random_token() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    fail("the system gave no random numbers for a token");
  }
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

bool same_secret(const std::string& a, const std::string& b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |=
        static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b.empty() ? 0 : b[i % b.size()]);
  }
  return difference == 0;
}

std::string token_of(const Request& request) {
  const std::string given = request.header("authorization");
  if (given.starts_with("Bearer ")) return given.substr(7);
  if (!given.starts_with("Basic ")) return "";
  const std::string pair = decoded64(given.substr(6));
  const std::size_t colon = pair.find(':');
  return colon == std::string::npos ? "" : pair.substr(colon + 1);
}

void check_access(const Access& access, const Request& request, bool open) {
  check_host(access, request);
  check_origin(request);
  if (open || access.token.empty()) return;
  if (same_secret(token_of(request), access.token)) return;
  if (same_secret(cookie(request, kSessionCookie), access.session)) return;
  throw HttpError(401,
                  "this server wants its token: open the address that it printed, or send the header "
                  "Authorization: Bearer TOKEN");
}

}  // namespace diffit::server
