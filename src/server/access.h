// Who may ask: hosts, origins and tokens.
#pragma once

#include <string>

#include "server/http.h"

namespace diffit::server {

/// Rules against other sites that a browser on this machine visits, and against other machines.
struct Access {
  bool loopback = true;  // bound to a loopback address: only names of this machine are taken as the host
  std::string host;      // that was bound
  std::string token;     // empty: none is needed
  std::string session;   // value of the cookie that stands for the token
};

/// Name of the cookie.
inline constexpr const char* kSessionCookie = "diffit_session";

/// Whether an address or name is this machine alone: 127.0.0.0/8, ::1, localhost.
bool is_loopback(const std::string& host);
/// 32 hexadecimal digits from the system's random numbers.
std::string random_token();

/// Throws HttpError: 403 for a name of the host that is not this server's (DNS rebinding) and for requests
/// that another site makes a browser send; 401 without the token.
///   open: the path needs no token
void check_access(const Access& access, const Request& request, bool open);

/// The token that a request carries: Authorization Bearer, or the password of Basic.
std::string token_of(const Request& request);
/// Compares in a time that does not depend on where they differ.
bool same_secret(const std::string& a, const std::string& b);

}  // namespace diffit::server
