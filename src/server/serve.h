// The studio as a whole: models, gallery, queue and HTTP.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "diffit/runtime.h"

namespace diffit::server {

struct ServeSpec {
  std::string host = "127.0.0.1";
  int port = 8000;                  // 0: any free one
  std::string data = "studio";      // folder of the gallery
  std::string runs = "runs";        // folder of trainings to show; need not exist
  std::string token;                // empty: none on a loopback address, else a random one
  std::vector<std::string> models;  // files or names of bundled models; empty: all bundled ones
  std::int64_t queue = 64;          // jobs that wait
  std::int64_t images = 256;        // of a job
};

/// Serves from threads of its own while it lives.
class Server {
 public:
  /// Opens models and gallery and listens. Throws Error: invalid for a wrong field, failed if the address or
  /// the folder cannot be used.
  Server(const ServeSpec& spec, const RuntimeOptions& runtime);
  /// Stops as stop() does.
  ~Server();

  /// "http://127.0.0.1:8000/", with the token after '#' if one is needed.
  const std::string& address() const;
  /// A sentence for the user, or "".
  const std::string& warning() const;
  /// Interrupts the running job, which stays queued in the gallery, and answers what has been accepted.
  void stop();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace diffit::server
