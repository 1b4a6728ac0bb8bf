#include "tools/diffit/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdlib>

#include "base/posix.h"
#include "base/utf8.h"

namespace diffit::cli {

namespace {

int stdout_failure = 0;
std::atomic<std::size_t> drawn_columns = 0;  // of the line that is on the screen
bool drawn_escapes = false;

constexpr int kPatience = 2000;  // milliseconds that a message waits for stderr

bool takes_bytes(int fd, int milliseconds) {
  pollfd wanted{fd, POLLOUT, 0};
  return repeated([&] { return ::poll(&wanted, 1, milliseconds); }) > 0;
}

/// Gives up where stderr takes nothing; in pieces that a pipe takes without waiting.
void write_err(std::string_view text, int patience) {
  while (!text.empty()) {
    if (!takes_bytes(STDERR_FILENO, patience)) return;
    const std::string_view piece = text.substr(0, PIPE_BUF);
    const ssize_t n = repeated([&] { return ::write(STDERR_FILENO, piece.data(), piece.size()); });
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

}  // namespace

void open_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // open() gives the lowest free number, which is `fd`.
    const int got = repeated([] { return ::open("/dev/null", O_RDWR); });
    if (got >= 0 && got != fd) {
      ::dup2(got, fd);
      ::close(got);
    }
  }
}

void print_out(std::string_view text) {
  const int failure = write_all(STDOUT_FILENO, escaped_lines(text));
  if (stdout_failure == 0) stdout_failure = failure;
}

int output_failure() {
  return stdout_failure;
}

void print_err(std::string_view text) {
  clear_line();
  write_err(escaped_lines(text), kPatience);
}

Screen stderr_screen() {
  Screen screen;
  if (::isatty(STDERR_FILENO) == 0) return screen;
  const pid_t foreground = ::tcgetpgrp(STDERR_FILENO);
  screen.terminal = foreground < 0 || foreground == ::getpgrp();
  const char* term = std::getenv("TERM");
  const bool dumb = term == nullptr || *term == '\0' || std::string_view(term) == "dumb";
  screen.escapes = !dumb && !is_set("NO_COLOR");
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) screen.columns = size.ws_col;
  return screen;
}

void draw_line(const Screen& screen, std::string_view text) {
  if (!takes_bytes(STDERR_FILENO, 0)) return;
  const std::string safe = escaped(text);
  // The last column stays free: a full line makes some terminals wrap.
  const std::string_view shown = cut_to_width(safe, std::max<std::size_t>(screen.columns, 2) - 1);
  const std::size_t columns = display_width(shown);
  std::string out = screen.escapes ? "\r\033[K" : "\r";
  out += shown;
  if (!screen.escapes && drawn_columns > columns) {
    const std::size_t rest = std::min(drawn_columns.load(), std::max<std::size_t>(screen.columns, 1) - 1);
    if (rest > columns) out.append(rest - columns, ' ').append(rest - columns, '\b');
  }
  write_err(out, 0);
  drawn_columns = columns;
  drawn_escapes = screen.escapes;
}

void clear_line() {
  if (drawn_columns == 0) return;
  std::string out = "\r";
  if (drawn_escapes) {
    out += "\033[K";
  } else {
    out.append(drawn_columns, ' ') += '\r';
  }
  write_err(out, 0);
  drawn_columns = 0;
}

bool line_is_drawn() {
  return drawn_columns != 0;
}

}  // namespace diffit::cli
