// diffit data convert | info | preview, and encode (command_encode.cpp).
#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/output_check.h"
#include "base/printable.h"
#include "base/random.h"
#include "data/convert.h"
#include "data/fit.h"
#include "data/latents.h"
#include "data/source.h"
#include "io/images/image.h"
#include "jobs/encode_data_job.h"
#include "jobs/unfinished.h"
#include "tools/diffit/command.h"
#include "tools/diffit/progress.h"
#include "tools/diffit/stop.h"

namespace diffit::cli {
namespace {

constexpr const char* kDataHelp =
    "data set: zip, IDX(.gz) images file, CIFAR (files, folder, tarball) or folder of images";
constexpr const char* kLabelsHelp =
    "source of labels. auto: dataset.json, else the top-level folders unless they look like splits or "
    "numbered shards; folders: the top-level folders; none";

struct ConvertCommand {
  std::string source, destination, crop = "none", labels = "auto";
  std::int64_t size = 0;
  bool skip_broken = false, strict = false;
};

/// The closing lines: what was converted, what was left out and why.
std::string text_of(const Converted& result, const std::string& destination) {
  std::string text =
      fmt::format("{}: {} images, {}x{}, {}, {}\n", destination, result.images, result.resolution,
                  result.resolution, result.channels == 1 ? "grey" : "RGB",
                  result.classes > 0 ? fmt::format("{} classes", result.classes) : "no labels");
  text += "from " + result.source.kind + "\n" + description_text(result.source);
  if (!result.skipped.empty())
    text += fmt::format("  {} images were skipped (--skip-broken):\n", result.skipped.size());
  for (const BrokenImage& image : result.skipped) text += "  skipped: " + image.reason + "\n";
  return text;
}

void run_convert(const CommonOptions& common, const ConvertCommand& command) {
  const Crop crop = parse_crop(command.crop);
  check_output_file(command.destination, "DEST");
  refuse_unfinished(command.source, "SRC");
  const auto source = open_source(command.source, {.labels = parse_label_mode(command.labels)});
  std::optional<ProgressLine> progress(common);
  const std::atomic<bool>& stop = watch_for_stop();
  const ConvertOptions options{command.size, crop, common.threads, command.skip_broken, command.strict};
  const Converted result =
      convert(*source, command.destination, options, [&](std::int64_t done, std::int64_t all) {
        if (stop) {
          fail("{}: interrupted after {} of {} images; no file was written", command.destination, done, all);
        }
        progress->show_count(static_cast<double>(done), static_cast<double>(all), "images");
      });
  if ((result.resolution & (result.resolution - 1)) != 0) {
    progress->say(
        fmt::format("note: EDM's own tools require a side that is a power of two, but this is {}; see --size",
                    result.resolution));
  }
  for (const std::string& warning : result.source.warnings) progress->say("warning: " + warning);
  if (!result.skipped.empty()) {
    progress->say(fmt::format("warning: {} of {} images were skipped, the first: {}", result.skipped.size(),
                              result.source.images, result.skipped.front().reason));
  }
  progress.reset();
  Json object;
  object["out"] = command.destination;
  object["pictures"] = result.images;
  object["resolution"] = result.resolution;
  object["channels"] = result.channels;
  object["classes"] = result.classes;
  object["left_out"] = Json::array();
  for (const BrokenImage& image : result.skipped) {
    object["left_out"].push_back({{"name", image.name}, {"index", image.index}, {"reason", image.reason}});
  }
  object["source"] = description_json(result.source);
  print_result(common, object, text_of(result, command.destination));
}

struct InfoOptions {
  std::string data, labels = "auto";
  bool check = false, strict = false;
};

void run_info(const CommonOptions& common, const InfoOptions& options) {
  if (holds_latents(options.data)) {
    print_latents(common, options.data, latent_data(LatentDataset(options.data).info()));
    return;
  }
  const auto source = open_source(options.data, {.labels = parse_label_mode(options.labels)});
  std::optional<ProgressLine> progress(common);
  const ImageScan scan = scan_images(
      *source, {options.check, common.threads, [&](std::int64_t done, std::int64_t all) {
                  progress->show_count(static_cast<double>(done), static_cast<double>(all), "images");
                }});
  progress.reset();
  DIFFIT_CHECK(!scan.sizes.empty(), "{}: no image can be read, the first: {}", source->describe(),
               scan.broken.front().reason);
  if (!options.check) check_decodes(*source);
  DataDescription description = describe_data(*source, scan);
  if (const std::string found = unfinished_in(options.data); !found.empty()) {
    description.warnings.push_back(
        fmt::format("the set is incomplete, because the run that writes it was interrupted ({}); run the "
                    "same command again "
                    "to finish it",
                    printable(found)));
  }
  Json object = description_json(description);
  object["data"] = options.data;
  print_result(common, object, description.kind + "\n" + description_text(description));
  const std::int64_t bad = scan.broken_count + scan.odd_count();
  DIFFIT_CHECK(!options.check || bad == 0,
               "{}: --check: {} of {} images cannot be used: {} cannot be read, {} are not {}x{}{}",
               source->describe(), bad, description.images, scan.broken_count, scan.odd_count(),
               description.width, description.height, scan.odd.empty() ? "" : ": " + list_odd(scan.odd));
  if (options.strict) refuse_warnings(description);
}

struct PreviewOptions {
  std::string data, out;
  std::int64_t count = 64, columns = 0, scale = 1, seed = 0, size = 0;
  bool by_class = false;
};

/// The images shown: drawn without repetition; with `by_class` a row for each class.
std::vector<std::int64_t> choose(const ImageSource& source, const PreviewOptions& options,
                                 std::int64_t columns) {
  const auto size = static_cast<std::uint64_t>(source.size());
  std::vector<std::int64_t> chosen;
  std::vector<std::vector<std::int64_t>> rows(static_cast<std::size_t>(source.classes()));
  std::size_t full = 0;
  for (std::uint64_t i = 0; i < size; ++i) {
    const auto index = static_cast<std::int64_t>(
        permuted(i, size, static_cast<std::uint64_t>(options.seed), stream_of(Purpose::data_order)));
    if (!options.by_class) {
      if (static_cast<std::int64_t>(chosen.size()) == options.count) break;
      chosen.push_back(index);
      continue;
    }
    auto& row = rows[static_cast<std::size_t>(source.label(index))];
    if (static_cast<std::int64_t>(row.size()) == columns) continue;
    row.push_back(index);
    full += static_cast<std::int64_t>(row.size()) == columns;
    if (full == rows.size()) break;
  }
  for (auto& row : rows) {
    row.resize(static_cast<std::size_t>(options.by_class ? columns : 0), -1);
    chosen.insert(chosen.end(), row.begin(), row.end());
  }
  return chosen;
}

void run_preview(const CommonOptions& common, const PreviewOptions& options) {
  check_output_file(options.out, "-o");
  auto source = open_source(options.data);
  DIFFIT_CHECK(!options.by_class || source->classes() > 0,
               "{}: --by-class needs labels, and the data set has none", source->describe());
  if (options.size > 0) source = fitted(std::move(source), options.size, Crop::center);
  std::int64_t columns = options.columns;
  if (options.by_class && columns == 0)
    columns = std::max<std::int64_t>(options.count / source->classes(), 1);
  const std::vector<std::int64_t> chosen = choose(*source, options, columns);
  std::vector<Image> images(chosen.size());
  std::int64_t side = 0;  // that of the first
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i] < 0) continue;
    Image image = source->read(chosen[i]);
    if (side == 0) side = std::min(image.width, image.height);
    if (image.width != side || image.height != side)
      image = fitted(std::move(image), side, Crop::center, source->name(chosen[i]));
    images[i] = std::move(image);
  }
  // White, where a class has too few.
  const Image blank{side, side, 1, std::vector<std::uint8_t>(static_cast<std::size_t>(side * side), 255)};
  for (Image& image : images) {
    if (image.width == 0) image = blank;
  }
  const Image sheet = grid(images, columns);
  write_png(options.out, enlarged(sheet, options.scale), {{"Source", source->describe()}});
  Json object;
  object["out"] = options.out;
  object["pictures"] = images.size();
  print_result(common, object,
               fmt::format("{}: {} images of {}", options.out, images.size(), source->describe()));
}

}  // namespace

void print_data_info(const CommonOptions& common, const std::string& path) {
  run_info(common, {.data = path});
}

void add_data_command(CLI::App& app, CommonOptions& common) {
  CLI::App* data = app.add_subcommand("data", "Convert and inspect data sets");
  data->require_subcommand(1);

  CLI::App* convert =
      add_command(*data, common, "convert",
                  "Write a data set in EDM's layout: an uncompressed zip of PNGs with dataset.json");
  const auto convert_options = std::make_shared<ConvertCommand>();
  convert->add_option("SRC", convert_options->source, kDataHelp)->required();
  convert->add_option("DEST", convert_options->destination, "the .zip file to write")->required();
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
  convert->callback([&common, convert_options] { run_convert(common, *convert_options); });

  add_encode_command(*data, common);

  CLI::App* info =
      add_command(*data, common, "info",
                  "Describe a data set: images, sizes, classes, skipped files and the reasons, and warnings");
  const auto info_options = std::make_shared<InfoOptions>();
  info->add_option("DATA", info_options->data, std::string(kDataHelp) + "; or a folder of latents")
      ->required();
  info->add_option("--labels", info_options->labels, kLabelsHelp)->capture_default_str();
  info->add_flag("--check", info_options->check,
                 "decode every image completely, not only its header, and list the unusable ones; exit code "
                 "2 if there are any");
  info->add_flag("--strict", info_options->strict, "treat warnings as errors (exit code 2)");
  info->callback([&common, info_options] { run_info(common, *info_options); });

  CLI::App* preview =
      add_command(*data, common, "preview", "Write a PNG with a grid of randomly chosen images");
  const auto options = std::make_shared<PreviewOptions>();
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
  preview->callback([&common, options] { run_preview(common, *options); });
}

}  // namespace diffit::cli
