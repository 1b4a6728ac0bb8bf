// The commands: one file each. A command adds its options to the program and runs as the callback of its
// subcommand.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/bundled.h"
#include "config/fields.h"
#include "runtime/runtime.h"

namespace diffit::cli {

/// Options that every command has.
struct CommonOptions : RuntimeOptions {
  bool json = false, quiet = false;
  std::string typed;               // the whole command line, as a shell would take it again
  std::vector<std::string> words;  // the same as it was given
};

/// Thrown to end the program with an exit code, where others have printed all that there is to say.
struct Ended {
  int code;
};

/// A subcommand with the common options.
CLI::App* add_command(CLI::App& app, CommonOptions& common, const std::string& name, const std::string& help);

/// Prints the result: `object` as one JSON line with --json, else `text`.
void print_result(const CommonOptions& common, const Json& object, const std::string& text);

/// A line on stderr, unless --quiet.
void print_note(const CommonOptions& common, const std::string& text);

void add_sample_command(CLI::App& app, CommonOptions& common);
void add_denoise_command(CLI::App& app, CommonOptions& common);
void add_train_command(CLI::App& app, CommonOptions& common);
void add_data_command(CLI::App& app, CommonOptions& common);
void add_encode_command(CLI::App& data, CommonOptions& common);
void add_ema_command(CLI::App& app, CommonOptions& common);
void add_convert_command(CLI::App& app, CommonOptions& common);
void add_info_command(CLI::App& app, CommonOptions& common);
void add_bench_command(CLI::App& app, CommonOptions& common);
void add_stats_command(CLI::App& app, CommonOptions& common);
void add_eval_command(CLI::App& app, CommonOptions& common);
void add_diagnose_command(CLI::App& app, CommonOptions& common);
void add_ablate_command(CLI::App& app, CommonOptions& common);
void add_explain_command(CLI::App& app, CommonOptions& common);
void add_vae_command(CLI::App& app, CommonOptions& common);
void add_report_command(CLI::App& app, CommonOptions& common);

}  // namespace diffit::cli
