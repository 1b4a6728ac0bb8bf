// The routes behind a socket.
#pragma once

#include <memory>

#include "server/api.h"

namespace diffit::server {

class HttpServer {
 public:
  /// All must outlive it.
  HttpServer(const Router& router, Studio& studio);
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
