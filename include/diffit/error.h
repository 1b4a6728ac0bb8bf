// The exception type of the library.
#pragma once

#include <stdexcept>
#include <string>

namespace diffit {

enum class ErrorKind {
  failed = 1,     // runtime failure: I/O, out of memory, non-finite values
  invalid = 2,    // the request is wrong: unknown option, bad value, bad file
  cancelled = 3,  // the caller asked for the work to stop (Monitor::cancelled)
};

/// The message is one line: what was wanted, what was got, where (file, tensor, line), what to try. It names
/// fields of a specification in backticks: "`steps`: ...".
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace diffit
