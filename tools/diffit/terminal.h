// All text that the program prints. Printing never throws and never ends the work: a closed terminal, a full
// disk and a reader that has gone are remembered or passed over.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace diffit::cli {

/// First thing in main: opens descriptors 0, 1 and 2 on /dev/null where they are closed, so that no file of
/// the program's gets their numbers.
void open_standard_descriptors();

/// A result, on stdout. Control characters but line breaks are escaped.
void print_out(std::string_view text);
/// The errno of the first print_out that failed, or 0.
int output_failure();

/// Messages, on stderr, escaped likewise. A stderr that takes nothing (a stopped terminal, a full pipe) is
/// waited for a short time only.
void print_err(std::string_view text);

/// What stderr can show.
struct Screen {
  bool terminal = false;  // and this process may write on it: it is not in the background
  bool escapes = false;   // understands escape codes: TERM is not dumb, NO_COLOR is not set
  std::size_t columns = 80;
};
/// Asked anew each time: windows change.
Screen stderr_screen();

/// The line of a terminal that is rewritten in place; `text` is cut to its width. Skipped where the terminal
/// takes nothing now.
void draw_line(const Screen& screen, std::string_view text);
/// Removes the line that draw_line left.
void clear_line();
/// Whether there is such a line. Async-signal-safe.
bool line_is_drawn();

}  // namespace diffit::cli
