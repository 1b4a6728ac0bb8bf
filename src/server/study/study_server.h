// The page on which raters answer, and its HTTP interface.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/names.h"

namespace diffit::server {

struct StudyServeSpec {
  std::string folder;  // that make_study() made
  std::string host = "127.0.0.1";
  int port = 8000;      // 0: any free one
  std::string address;  // by which raters reach it, "https://study.example/"; empty: host and port
};

/// Serves a study from threads of its own while it lives.
class StudyServer {
 public:
  /// Throws Error: invalid for a folder that holds no study, failed if the address or folder cannot be used.
  explicit StudyServer(const StudyServeSpec& spec);
  ~StudyServer();

  const std::string& address() const;
  /// The address for each rater. Whoever has it answers as that rater.
  const std::vector<std::string>& links() const;
  /// Answers what has been accepted, and ends.
  void stop();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace diffit::server
