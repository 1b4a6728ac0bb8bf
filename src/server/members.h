// Members of a JSON object as the fields of a specification, with errors that name them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/http.h"

namespace diffit::server {

/// Throws HttpError 400: "`field`: what".
[[noreturn]] void refuse(const std::string& field, const std::string& what);

/// Reads the members of an object one by one, and knows which were not asked for. A member that is null
/// counts as absent. Every function throws HttpError 400 for a value of another kind.
class Members {
 public:
  /// `name`: of the object, in errors. The object must outlive this.
  explicit Members(const Json& object, const std::string& name = "spec");

  /// Null if it is absent.
  const Json* find(const std::string& name);
  void read(const std::string& name, std::optional<std::string>& out);
  void read(const std::string& name, std::string& out);
  void read(const std::string& name, std::optional<double>& out);
  void read(const std::string& name, double& out);
  void read(const std::string& name, std::optional<std::int64_t>& out, std::int64_t low, std::int64_t high);
  void read(const std::string& name, std::int64_t& out, std::int64_t low, std::int64_t high);
  void read(const std::string& name, bool& out);
  /// For members that have not been asked for.
  void refuse_unknown() const;

  static std::string text(const std::string& name, const Json& value);
  static double number(const std::string& name, const Json& value);
  static std::int64_t integer(const std::string& name, const Json& value, std::int64_t low,
                              std::int64_t high);

 private:
  const Json& object_;
  std::vector<std::string> known_;
};

/// The bytes of standard Base64 (RFC 4648), with or without padding and white space. HttpError 400 that names
/// `field` for anything else.
std::vector<std::byte> decode_base64(const std::string& text, const std::string& field);

}  // namespace diffit::server
