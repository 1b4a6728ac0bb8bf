// The exception type of the library.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace diffit {

enum class ErrorKind {
  failed = 1,     // runtime failure: I/O, out of memory, non-finite values
  invalid = 2,    // the request is wrong: unknown option, bad value, bad file
  cancelled = 3,  // the caller asked for the work to stop (Monitor::cancelled)
};

/// The message is one line: what was wanted, what was got, where (file, tensor, line), what to try.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  /// An error about one field of a specification; `message` begins with the field's name.
  Error(ErrorKind kind, const std::string& message, std::string field)
      : std::runtime_error(message), kind_(kind), field_(std::move(field)) {}
  ErrorKind kind() const noexcept { return kind_; }
  /// The field that is wrong, such as "steps"; empty if the error is not about one field.
  const std::string& field() const noexcept { return field_; }

 private:
  ErrorKind kind_;
  std::string field_;
};

}  // namespace diffit
