// The routes behind a socket.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "server/access.h"

namespace diffit::server {

/// What a server needs besides its routes. Both counters count.
struct HttpContext {
  const Access& access;
  std::int64_t body = 0;  // bytes of a request's body
  std::atomic<std::int64_t>&requests, &errors;
};

class HttpServer {
 public:
  /// The router, and what the context refers to, must outlive it.
  HttpServer(const Router& router, const HttpContext& context);
  ~HttpServer();

  /// Binds; port 0: any free one. Returns the port. Throws Error(failed) with the reason.
  int bind(const std::string& host, int port);
  /// Answers requests from threads of its own.
  void start();
  /// Accepts no more requests, and returns when those that were accepted have been answered. Streams end when
  /// the queue stops.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace diffit::server
