#include "server/study/plan.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/output_check.h"
#include "base/random.h"
#include "base/text.h"
#include "config/json_text.h"
#include "data/source.h"
#include "server/access.h"

namespace diffit::server {

namespace {

constexpr std::int64_t kMostRaters = 10000, kMostTrials = 10000, kMostImages = 100000;
constexpr std::uint64_t kLargestPlan = 64 << 20;

std::string image_name(std::int64_t number) {
  return fmt::format("{:06}.png", number);
}

void check_count(const char* name, std::int64_t value, std::int64_t low, std::int64_t high) {
  DIFFIT_CHECK(value >= low && value <= high, "`{}`: wanted {} to {}, got {}", name, low, high, value);
}

struct Set {
  std::string name;
  std::unique_ptr<ImageSource> source;
};

std::vector<Set> open_sets(const StudySpec& spec) {
  DIFFIT_CHECK(spec.sets.size() >= 2, "`set`: wanted at least two NAME=PATH, got {}", spec.sets.size());
  std::vector<Set> sets;
  for (const std::string& given : spec.sets) {
    const std::size_t equals = given.find('=');
    DIFFIT_CHECK(equals != std::string::npos && equals > 0, "`set`: wanted NAME=PATH, got '{}'", given);
    const std::string name = given.substr(0, equals);
    const bool plain =
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
            std::string::npos &&
        name[0] != '.';
    DIFFIT_CHECK(plain, "`set`: wanted a name of letters, digits, '-', '_' and '.', got '{}'", name);
    for (const Set& other : sets) DIFFIT_CHECK(other.name != name, "`set`: two sets are named {}", name);
    sets.push_back({name, open_source(given.substr(equals + 1), {.labels_needed = false})});
  }
  return sets;
}

/// Copies images of one size; returns how many of each set.
std::int64_t copy_images(const StudySpec& spec, const std::vector<Set>& sets) {
  std::int64_t count = spec.images;
  for (const Set& set : sets) count = std::min(count, set.source->size());
  std::int64_t width = 0, height = 0;
  for (std::size_t s = 0; s < sets.size(); ++s) {
    const fs::path folder = fs::path(spec.folder) / "images" / sets[s].name;
    fs::create_directories(folder);
    const auto size = static_cast<std::uint64_t>(sets[s].source->size());
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint64_t chosen =
          permuted(static_cast<std::uint64_t>(i), size, spec.seed, stream_of(Purpose::subset, s));
      const Image image = sets[s].source->read(static_cast<std::int64_t>(chosen));
      if (width == 0) {
        width = image.width;
        height = image.height;
      }
      DIFFIT_CHECK(image.width == width && image.height == height,
                   "`set` {}: its images are {} x {}, those of {} {} x {}; raters could tell them apart by "
                   "their size: convert one with `diffit data convert`",
                   sets[s].name, image.width, image.height, sets[0].name, width, height);
      write_png(folder / image_name(i), image);
    }
  }
  return count;
}

Json plan_json(const StudyPlan& plan) {
  return {{"format", 1},
          {"question", plan.question},
          {"sets", plan.sets},
          {"sources", plan.sources},
          {"images", plan.images},
          {"trials", plan.trials},
          {"repeats", plan.repeats},
          {"catches", plan.catches},
          {"catch_needed", plan.catch_needed},
          {"seed", plan.seed},
          {"stopping_rule", plan.stopping_rule()},
          {"links", plan.links}};
}

/// Exchanges pixels so that nothing of the image is left but its values.
Image shuffled(const Image& image, std::uint64_t seed, std::uint64_t number) {
  Image out = image;
  const auto count = static_cast<std::uint64_t>(image.width * image.height);
  const auto channels = static_cast<std::size_t>(image.channels);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t from = permuted(i, count, seed, stream_of(Purpose::corruption, number));
    std::copy_n(image.pixels.begin() + static_cast<std::ptrdiff_t>(from * channels), channels,
                out.pixels.begin() + static_cast<std::ptrdiff_t>(i * channels));
  }
  return out;
}

}  // namespace

std::string StudyPlan::stopping_rule() const {
  return fmt::format(
      "{} raters answer {} trials each: {} pairs, {} of them shown again, {} catch trials. The study ends "
      "when "
      "all have answered all of theirs, or is stopped without a look at the answers; raters are counted if "
      "they "
      "answered every trial and at least {:.0f} % of their catch trials right.",
      raters(), trials_of_rater(), trials, repeats, catches, 100 * catch_needed);
}

std::vector<Trial> StudyPlan::trials_for(std::int64_t rater) const {
  // Streams of a rater: 0 what is shown, 1 the order.
  const auto stream = [&](std::uint64_t what) {
    return stream_of(Purpose::data_order, static_cast<std::uint64_t>(rater) * 2 + what);
  };
  Random random(seed, stream(0));
  const auto count = static_cast<std::int64_t>(sets.size());
  std::vector<std::pair<std::int64_t, std::int64_t>> pairs;
  for (std::int64_t a = 0; a < count; ++a) {
    for (std::int64_t b = a + 1; b < count; ++b) pairs.emplace_back(a, b);
  }
  const auto some_image = [&] {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint32_t>(images)));
  };
  std::vector<Trial> made;
  // A rater begins with another pair than the one before, so that all are equally often over raters too.
  for (std::int64_t i = 0; i < trials; ++i) {
    const auto [a, b] = pairs[static_cast<std::size_t>(i + rater * trials) % pairs.size()];
    Trial trial;
    const int left = static_cast<int>(random.below(2));
    trial.set[left] = a;
    trial.set[1 - left] = b;
    trial.image[0] = some_image();
    trial.image[1] = some_image();
    made.push_back(trial);
  }
  for (std::int64_t i = 0; i < repeats; ++i) {
    Trial trial = made[static_cast<std::size_t>(i)];
    std::swap(trial.set[0], trial.set[1]);
    std::swap(trial.image[0], trial.image[1]);
    trial.kind = TrialKind::repeat;
    trial.repeats = i;
    made.push_back(trial);
  }
  for (std::int64_t i = 0; i < catches; ++i) {
    Trial trial;
    trial.kind = TrialKind::shuffled;
    trial.set[0] = trial.set[1] = i % count;
    trial.image[0] = trial.image[1] = some_image();
    trial.shuffled = random.below(2);
    made.push_back(trial);
  }
  const auto size = static_cast<std::uint64_t>(made.size());
  std::vector<std::int64_t> place(made.size());  // of a trial, in the order
  std::vector<Trial> ordered(made.size());
  for (std::uint64_t i = 0; i < size; ++i) {
    const std::uint64_t from = permuted(i, size, seed, stream(1));
    ordered[i] = made[from];
    place[from] = static_cast<std::int64_t>(i);
  }
  for (Trial& trial : ordered) {
    if (trial.repeats >= 0) trial.repeats = place[static_cast<std::size_t>(trial.repeats)];
  }
  return ordered;
}

std::vector<std::byte> StudyPlan::png_of(const Trial& trial, int side) const {
  const auto set = static_cast<std::size_t>(trial.set[side]);
  const Image image = read_image(folder / "images" / sets.at(set) / image_name(trial.image[side]));
  return encode_png(
      trial.shuffled == side ? shuffled(image, seed, static_cast<std::uint64_t>(trial.image[side])) : image,
      6);
}

StudyPlan make_study(const StudySpec& spec) {
  check_count("raters", spec.raters, 1, kMostRaters);
  check_count("trials", spec.trials, 1, kMostTrials);
  check_count("repeats", spec.repeats, 0, spec.trials);
  check_count("catches", spec.catches, 0, kMostTrials);
  check_count("images", spec.images, 1, kMostImages);
  DIFFIT_CHECK(spec.catch_needed >= 0 && spec.catch_needed <= 1, "`catch_needed`: wanted 0 to 1, got {}",
               spec.catch_needed);
  DIFFIT_CHECK(!trim(spec.question).empty(), "`question`: wanted a text");
  const fs::path folder = spec.folder;
  std::error_code none;
  DIFFIT_CHECK(!fs::exists(folder, none) || fs::is_empty(folder, none),
               "{}: is there already and not empty; a study is made in a folder of its own", folder.string());
  const std::vector<Set> sets = open_sets(spec);
  check_output_folder(folder, "the study");
  fs::create_directories(folder);
  StudyPlan plan;
  plan.folder = folder;
  plan.question = spec.question;
  for (const Set& set : sets) {
    plan.sets.push_back(set.name);
    plan.sources.push_back(set.source->describe());
  }
  for (std::int64_t r = 0; r < spec.raters; ++r) plan.links.push_back(random_token());
  plan.trials = spec.trials;
  plan.repeats = spec.repeats;
  plan.catches = spec.catches;
  plan.catch_needed = spec.catch_needed;
  plan.seed = spec.seed;
  plan.images = copy_images(spec, sets);
  // Last: a folder without it is no study.
  write_file(folder / "study.json", plan_json(plan).dump(1) + "\n");
  return read_study(folder);
}

StudyPlan read_study(const fs::path& folder) {
  const fs::path path = folder / "study.json";
  std::error_code none;
  DIFFIT_CHECK(fs::is_regular_file(path, none),
               "{}: wanted a folder that `diffit study new` made, but it holds no study.json",
               folder.string());
  const std::string text = read_text(path, kLargestPlan);
  const Json json = parse_json(text, path.string());
  StudyPlan plan;
  plan.folder = folder;
  try {
    DIFFIT_CHECK(json.at("format") == 1, "{}: is of a newer version of this program", path.string());
    json.at("question").get_to(plan.question);
    json.at("sets").get_to(plan.sets);
    json.at("sources").get_to(plan.sources);
    json.at("links").get_to(plan.links);
    json.at("images").get_to(plan.images);
    json.at("trials").get_to(plan.trials);
    json.at("repeats").get_to(plan.repeats);
    json.at("catches").get_to(plan.catches);
    json.at("catch_needed").get_to(plan.catch_needed);
    json.at("seed").get_to(plan.seed);
  } catch (const Json::exception& error) {
    reject("{}: is no plan of a study: {}", path.string(), error.what());
  }
  check_count("trials", plan.trials, 1, kMostTrials);
  check_count("repeats", plan.repeats, 0, plan.trials);
  check_count("catches", plan.catches, 0, kMostTrials);
  check_count("images", plan.images, 1, kMostImages);
  DIFFIT_CHECK(plan.sets.size() >= 2 && plan.sets.size() == plan.sources.size() && !plan.links.empty(),
               "{}: is no plan of a study: wanted two sets and a rater at least", path.string());
  plan.text = text;
  return plan;
}

}  // namespace diffit::server
