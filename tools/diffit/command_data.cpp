// diffit data convert | info | preview, and encode (command_encode.cpp).
#include "diffit/data.h"

#include <memory>
#include <optional>

#include "base/error.h"
#include "io/images/image.h"
#include "jobs/result_json.h"
#include "tools/diffit/command.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {
namespace {

constexpr const char* kDataHelp =
    "data set: zip, IDX(.gz) images file, CIFAR (files, folder, tarball) or folder of images";
constexpr const char* kLabelsHelp =
    "source of labels. auto: dataset.json, else the top-level folders unless they look like splits or "
    "numbered shards; folders: the top-level folders; none";

void print_converted(const CommonOptions& common, ConvertDataSpec spec) {
  spec.threads = common.threads;
  ConvertDataResult r;
  {
    StoppableMonitor monitor(common);
    r = convert_data(spec, monitor);
  }
  std::string text =
      fmt::format("{}: {} images, {}x{}, {}, {}\nfrom {}", spec.dest, r.images, r.resolution, r.resolution,
                  r.channels == 1 ? "grey" : "RGB",
                  r.classes > 0 ? fmt::format("{} classes", r.classes) : "no labels", r.source);
  if (!r.skipped.empty())
    text += fmt::format("  {} images were skipped (--skip-broken):\n", r.skipped.size());
  for (const SkippedImage& image : r.skipped) text += "  skipped: " + image.reason + "\n";
  Json object = {{"out", spec.dest}};
  object.update(selected(json_of(r), {{"pictures", "images"},
                                      {"resolution", "resolution"},
                                      {"channels", "channels"},
                                      {"classes", "classes"},
                                      {"left_out", "skipped"},
                                      {"source", "source"}}));
  print_result(common, object, text);
}

void print_described(const CommonOptions& common, DescribeDataSpec spec) {
  spec.threads = common.threads;
  std::optional<TerminalMonitor> monitor(common);
  const DescribeDataResult result = describe_data(spec, *monitor);
  monitor.reset();
  print_result(common, Json::parse(result.json), result.text);
  if (!result.refusal.empty()) reject("{}", result.refusal);
}

void print_preview(const CommonOptions& common, const PreviewDataSpec& spec) {
  TerminalMonitor monitor(common);
  const PreviewDataResult result = preview_data(spec, monitor);
  print_result(common, {{"out", spec.out}, {"pictures", result.images}},
               fmt::format("{}: {} images of {}", spec.out, result.images, result.source));
}

}  // namespace

void add_data_command(CLI::App& app, CommonOptions& common) {
  CLI::App* data = app.add_subcommand("data", "Convert and inspect data sets");
  data->require_subcommand(1);

  CLI::App* convert =
      add_command(*data, common, "convert",
                  "Write a data set in EDM's layout: an uncompressed zip of PNGs with dataset.json");
  const auto convert_options = std::make_shared<ConvertDataSpec>();
  convert->add_option("SRC", convert_options->data, kDataHelp)->required();
  convert->add_option("DEST", convert_options->dest, "the .zip file to write")->required();
  convert
      ->add_option("--size", convert_options->size,
                   "side of the written images in pixels: smaller images are padded with zeros, larger ones "
                   "are downscaled; default unchanged")
      ->check(CLI::Range(std::int64_t{1}, kLargestSide));
  convert
      ->add_option("--crop", convert_options->crop,
                   "how images are cropped to a square. center: crop the central square, then Lanczos; adm: "
                   "box and bicubic downscaling, then the central square; none")
      ->capture_default_str();
  convert->add_option("--labels", convert_options->labels, kLabelsHelp)->capture_default_str();
  convert->add_flag(
      "--skip-broken", convert_options->skip_broken,
      "skip images that cannot be read or whose size differs from that of most images, and list them");
  convert->add_flag("--strict", convert_options->strict, "treat warnings as errors (exit code 2)");
  convert->callback([&common, convert_options] { print_converted(common, *convert_options); });

  add_encode_command(*data, common);

  CLI::App* info =
      add_command(*data, common, "info",
                  "Describe a data set: images, sizes, classes, skipped files and the reasons, and warnings");
  const auto info_options = std::make_shared<DescribeDataSpec>();
  info->add_option("DATA", info_options->data, std::string(kDataHelp) + "; or a folder of latents")
      ->required();
  info->add_option("--labels", info_options->labels, kLabelsHelp)->capture_default_str();
  info->add_flag("--check", info_options->check,
                 "decode every image completely, not only its header, and list the unusable ones; exit code "
                 "2 if there are any");
  info->add_flag("--strict", info_options->strict, "treat warnings as errors (exit code 2)");
  info->callback([&common, info_options] { print_described(common, *info_options); });

  CLI::App* preview =
      add_command(*data, common, "preview", "Write a PNG with a grid of randomly chosen images");
  const auto options = std::make_shared<PreviewDataSpec>();
  preview->add_option("DATA", options->data, kDataHelp)->required();
  preview->add_option("-o,--out", options->out, "the PNG file to write")->required();
  preview->add_option("-n", options->count, "number of images")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{65536}))
      ->capture_default_str();
  preview->add_option("--columns", options->columns, "images per row; 0: choose for a nearly square grid")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{4096}))
      ->capture_default_str();
  preview
      ->add_option("--size", options->size,
                   "side length to which images are cropped and resized; default: that of the first")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{4096}));
  preview->add_option("--scale", options->scale, "integer factor by which the images are enlarged")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{64}))
      ->capture_default_str();
  preview->add_option("--seed", options->seed, "seed of the random choice")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  preview->add_flag("--by-class", options->by_class, "one row per class");
  preview->callback([&common, options] { print_preview(common, *options); });
}

}  // namespace diffit::cli
