// diffit: parses, calls the library, prints. Exit codes: 0 done, 1 it could not be done, 2 the request is
// wrong.
#include <malloc.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>

#include "base/bundled.h"
#include "base/cpu_count.h"
#include "base/error.h"
#include "base/file.h"
#include "base/output_check.h"
#include "base/utf8.h"
#include "config/json_text.h"
#include "jobs/guard.h"
#include "kernels/ops.h"
#include "runtime/memory.h"
#include "tools/diffit/command.h"
#include "tools/diffit/command_serve.h"
#include "tools/diffit/option_names.h"
#include "tools/diffit/progress.h"
#include "tools/diffit/stop.h"
#include "tools/diffit/terminal.h"

namespace diffit::cli {

namespace {

/// An empty text, or why the value of --threads is not taken.
std::string check_threads(const std::string& text) {
  int threads = -1;
  if (CLI::detail::lexical_cast(text, threads) && threads >= 0 && threads <= most_threads()) return "";
  return fmt::format("wanted 0 to {} threads ({} processors are available to this process), got {}",
                     most_threads(), cpu_count(), text);
}

}  // namespace

CLI::App* add_command(CLI::App& app, CommonOptions& common, const std::string& name,
                      const std::string& help) {
  CLI::App* command = app.add_subcommand(name, help);
  const std::string group = "Common options";
  command->add_option("--device", common.device, "device: auto, cpu, cuda or cuda:i")
      ->capture_default_str()
      ->group(group);
  command
      ->add_option("--dtype", common.dtype, "precision of matrix products and convolutions: auto, f32, bf16")
      ->capture_default_str()
      ->group(group);
  command->add_option("--threads", common.threads, "CPU threads; 0: one per core available to this process")
      ->check(CLI::Validator(check_threads, "INT"))
      ->capture_default_str()
      ->group(group);
  command->add_flag("--json", common.json, "print the result as one JSON object to stdout")->group(group);
  command->add_flag("--quiet", common.quiet, "print only errors to stderr")->group(group);
  return command;
}

void print_result(const CommonOptions& common, const Json& object, const std::string& text) {
  MappedFile::check_all();
  if (!common.json && text.empty()) return;
  const bool line_ends = !common.json && text.back() == '\n';
  const std::string result =
      (common.json ? json_text(with_options_in_warnings(object)) : with_options_in_warnings(text)) +
      (line_ends ? "" : "\n");
  if (!stdout_holds_output()) return print_out(result);
  if (!common.quiet) print_err(result);  // an output file went to standard output: -o /dev/stdout
}

void print_note(const CommonOptions& common, const std::string& text) {
  if (!common.quiet) print_err(with_options(text) + "\n");
}

namespace {

constexpr const char* kFooter = R"(
First steps:
  diffit sample -m fashion-mnist -n 80 -o samples.png   generate images with the bundled model
  diffit train fashion-mnist --dry-run                  print the configuration and cost of training it
  diffit train fashion-mnist --out runs/mine            train it; add --resume to continue after an interruption
  diffit info                                           list models, presets and the hardware in use
Exit codes: 0 success, 1 failure, 2 invalid request. `diffit COMMAND --help` describes the options of a command.)";

/// LibTorch takes and frees large buffers all the time: keep them, and let them be large pages, instead of
/// giving them back to the system and faulting them in again.
void keep_buffers() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
  setenv("THP_MEM_ALLOC_ENABLE", "1", 0);
  if (fast_kernels()) reuse_tensor_memory();
}

std::vector<std::string> names_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

/// CLI11's complaint as one line; what is unknown by its name, with the nearest that there is.
std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* deepest = &app;
  std::string command = "diffit";
  while (!deepest->get_subcommands().empty()) {
    deepest = deepest->get_subcommands().front();
    command += " " + deepest->get_name();
  }
  std::string text = error.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  const bool unknown_option = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  const bool unknown_command = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
                               !deepest->get_subcommands([](const CLI::App*) { return true; }).empty();
  if (const auto unknown = app.remaining(/*recurse=*/true);
      !unknown.empty() && (unknown_option || unknown_command)) {
    const std::string word = unknown.front().substr(0, unknown.front().find('='));
    const char* what = word.starts_with('-') ? "option" : unknown_command ? "command" : "argument";
    text = fmt::format("unknown {} '{}'{}", what, word, did_you_mean(word, names_of(*deepest)));
  }
  return fmt::format("{} (see {} --help)", text, command);
}

/// The command line again, quoted for a shell where it must be.
std::string typed(int argc, char** argv) {
  std::string line = "diffit";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool plain = !word.empty() && word.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789_-+=./:,@%") == std::string::npos;
    line += " ";
    if (plain) {
      line += word;
      continue;
    }
    line += "'";
    for (const char c : word) line += c == '\'' ? "'\\''" : std::string(1, c);
    line += "'";
  }
  return line;
}

int report(ErrorKind kind, const std::string& message) {
  std::string line = with_options(message);
  std::replace(line.begin(), line.end(), '\n', ' ');
  print_err("error: " + escaped(line) + "\n");
  return kind == ErrorKind::invalid ? 2 : 1;
}

int run(int argc, char** argv) {
  // Static: errors are printed after this function, with the names of its options.
  static CLI::App app(
      "Train, sample, evaluate and analyse DiffiT, the diffusion vision transformer with time-dependent "
      "self-attention.",
      "diffit");
  app.footer(kFooter);
  app.set_version_flag("--version", "diffit " DIFFIT_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  CommonOptions common;
  add_sample_command(app, common);
  add_train_command(app, common);
  add_denoise_command(app, common);
  add_data_command(app, common);
  add_vae_command(app, common);
  add_stats_command(app, common);
  add_eval_command(app, common);
  add_diagnose_command(app, common);
  add_ema_command(app, common);
  add_convert_command(app, common);
  add_ablate_command(app, common);
  add_explain_command(app, common);
  add_info_command(app, common);
  add_bench_command(app, common);
  add_report_command(app, common);
  add_serve_command(app, common);
  add_study_command(app, common);
  common.typed = typed(argc, argv);
  common.words.assign(argv, argv + argc);
  set_program(app);
  if (argc == 1) {
    print_out(app.help());
    return 0;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help, --version
      std::ostringstream text;
      app.exit(error, text, text);
      print_out(text.str());
      return 0;
    }
    return report(ErrorKind::invalid, explain(app, error));
  }
  return 0;
}

/// Before the libraries begin: one of them ends the program in words of its own where the working directory
/// has been deleted. System calls alone, since nothing is set up yet, sanitizers included.
__attribute__((no_sanitize("address", "undefined"))) void check_working_directory(int, char**, char**) {
  static char path[4096];
  static const char text[] =
      "error: the working directory no longer exists; change to an existing directory\n";
  if (syscall(SYS_getcwd, path, sizeof path) >= 0 || errno != ENOENT) return;
  if (syscall(SYS_write, STDERR_FILENO, text, sizeof text - 1) >= 0) syscall(SYS_exit_group, 1);
  syscall(SYS_exit_group, 1);
}

__attribute__((section(".preinit_array"), used)) void (*const first_call)(int, char**,
                                                                          char**) = check_working_directory;

}  // namespace
}  // namespace diffit::cli

int main(int argc, char** argv) {
  using namespace diffit::cli;
  using diffit::ErrorKind;
  open_standard_descriptors();
  install_signal_handlers();
  keep_buffers();
  int code = 0;
  try {
    code = run(argc, argv);
  } catch (const Ended& ended) {
    code = ended.code;
  } catch (...) {
    try {
      rethrow_as_error(std::current_exception());
    } catch (const diffit::Error& error) {
      code = report(error.kind(), error.what());
    }
  }
  if (const int reason = output_failure(); code == 0 && reason != 0) {
    code = report(ErrorKind::failed,
                  fmt::format("stdout: the result cannot be written: {}", std::strerror(reason)));
  }
  // Nothing is left to do: LibTorch's tables need not be taken down one by one.
  _exit(code);
}
