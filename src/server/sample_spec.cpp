#include "server/sample_spec.h"

#include <sys/random.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "server/members.h"

namespace diffit::server {

namespace {

/// The largest integer that every JSON reader keeps.
constexpr std::int64_t kLargestSeed = (std::int64_t{1} << 53) - 1;

/// "A-B", "a,b,c" or both mixed.
std::vector<std::int64_t> parse_seeds(const std::string& text, std::int64_t most) {
  std::vector<std::int64_t> seeds;
  for (const std::string& part : split(text, ',')) {
    const std::size_t dash = part.find('-', 1);
    std::int64_t first = 0, last = 0;
    try {
      first = parse_int(trim(part.substr(0, dash)), "a seed");
      last = dash == std::string::npos ? first : parse_int(trim(part.substr(dash + 1)), "a seed");
    } catch (const Error& error) {
      refuse("seeds", error.what());
    }
    if (first < 0 || last < first || last > kLargestSeed) {
      refuse("seeds", fmt::format("wanted A-B with 0 <= A <= B or a,b,c, got '{}'", part));
    }
    if (last - first >= most - static_cast<std::int64_t>(seeds.size())) {
      refuse("seeds", fmt::format("'{}' has more than {} seeds, the most of a job", text, most));
    }
    for (std::int64_t seed = first; seed <= last; ++seed) seeds.push_back(seed);
  }
  return seeds;
}

std::vector<std::int64_t> read_integers(const std::string& name, const Json& list, std::int64_t low,
                                        std::int64_t high, std::int64_t most) {
  if (list.empty() || static_cast<std::int64_t>(list.size()) > most) {
    refuse(name, fmt::format("wanted 1 to {} entries, got {}", most, list.size()));
  }
  std::vector<std::int64_t> values;
  for (const Json& value : list) values.push_back(Members::integer(name, value, low, high));
  return values;
}

void read_seeds(Members& members, const Limits& limits, SampleJob& job) {
  std::optional<std::int64_t> count;
  members.read("count", count, 1, limits.images);
  if (const Json* seeds = members.find("seeds")) {
    job.seeds = seeds->is_array() ? read_integers("seeds", *seeds, 0, kLargestSeed, limits.images)
                                  : parse_seeds(Members::text("seeds", *seeds), limits.images);
    if (count && *count != job.count()) {
      refuse("count",
             fmt::format("{} and `seeds` with {} entries contradict each other", *count, job.count()));
    }
    return;
  }
  for (std::int64_t seed = 0; seed < count.value_or(1); ++seed) job.seeds.push_back(seed);
}

void read_classes(Members& members, const ServedModel& model, SampleJob& job) {
  const Json* classes = members.find("classes");
  std::vector<std::int64_t> listed;
  if (classes == nullptr || *classes == "all") {
    for (std::int64_t label = 0; label < model.classes; ++label) listed.push_back(label);
    if (listed.empty()) return;
  } else if (*classes == "random") {
    if (model.classes > 0) job.spec.classes = "random";
    return;
  } else if (classes->is_array()) {
    if (model.classes == 0) refuse("classes", "the model has no classes");
    for (const Json& entry : *classes) {
      listed.push_back(entry.is_string() ? labels_of(model, entry.get<std::string>(), "classes").at(0)
                                         : Members::integer("classes", entry, 0, model.classes - 1));
    }
    if (listed.empty()) refuse("classes", "wanted at least one class, got an empty list");
  } else {
    listed = labels_of(model, Members::text("classes", *classes), "classes");
  }
  for (std::size_t i = 0; i < job.seeds.size(); ++i) job.labels.push_back(listed[i % listed.size()]);
}

/// A number or a text ("all", "3").
void read_channels(Members& members, std::optional<std::string>& out) {
  const Json* value = members.find("guidance_channels");
  if (value == nullptr) return;
  out = value->is_number_integer() ? value->dump() : Members::text("guidance_channels", *value);
}

void read_branch(Members& members, SampleJob& job) {
  const Json* branch = members.find("branch");
  if (branch == nullptr) return;
  Members inner(*branch);
  std::optional<std::int64_t> step, image;
  inner.read("job", job.branch_job);
  inner.read("step", step, 0, 100000);
  inner.read("image", image, 0, 100000);
  inner.refuse_unknown();
  if (job.branch_job.empty() || !step) refuse("branch", "wanted {\"job\": ID, \"step\": K}");
  job.branch_step = *step;
  job.branch_image = image.value_or(0);
}

}  // namespace

SampleJob read_sample_job(const Json& object, const Models& models, const Limits& limits) {
  Members members(object);
  SampleJob job;
  std::string model;
  members.read("model", model);
  const ServedModel& served = models.find(model);
  job.model = served.name;
  job.spec.model = served.path;
  read_seeds(members, limits, job);
  read_classes(members, served, job);
  SampleSpec& s = job.spec;
  members.read("preset", s.preset);
  if (s.preset.find('/') != std::string::npos || s.preset.find('.') != std::string::npos) {
    refuse("preset", "wanted the name of a preset, got a path");
  }
  members.read("sampler", s.sampler);
  members.read("steps", s.steps, 1, limits.steps);
  members.read("eta", s.eta);
  members.read("spacing", s.spacing);
  members.read("sigma_min", s.sigma_min);
  members.read("sigma_max", s.sigma_max);
  members.read("rho", s.rho);
  members.read("churn", s.churn);
  members.read("s_min", s.s_min);
  members.read("s_max", s.s_max);
  members.read("s_noise", s.s_noise);
  members.read("rounding", s.rounding);
  members.read("guidance", s.guidance.scale);
  members.read("guidance_schedule", s.guidance.schedule);
  read_channels(members, s.guidance.channels);
  members.read("guidance_interval", s.guidance.interval);
  members.read("guidance_tolerance", s.guidance.tolerance);
  members.read("mix_seed", s.mix_seed, 0, kLargestSeed);
  members.read("mix", s.mix);
  members.read("autoguidance", job.guide);
  if (!job.guide.empty()) s.autoguidance = models.find(job.guide).path;
  members.read("keep_steps", job.keep_steps);
  read_branch(members, job);
  members.refuse_unknown();
  if (job.keep_steps && job.count() > limits.kept_images) {
    refuse("keep_steps", fmt::format("takes at most {} images, got {}", limits.kept_images, job.count()));
  }
  if (!job.branch_job.empty() && s.mix_seed)
    refuse("branch", "starts from a kept state, not from mixed noise");
  if (!job.branch_job.empty() && job.count() != 1) {
    refuse("branch", fmt::format("makes one image, got {} seeds", job.count()));
  }
  return job;
}

Json to_json(const SampleJob& job) {
  const SampleSpec& s = job.spec;
  Json out = {{"model", job.model}, {"seeds", job.seeds}};
  if (!job.labels.empty()) {
    out["classes"] = job.labels;
  } else if (s.classes != "all") {
    out["classes"] = s.classes;
  }
  const auto add = [&](const char* name, const auto& value) {
    if (value) out[name] = *value;
  };
  const auto add_text = [&](const char* name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  add_text("preset", s.preset);
  add("sampler", s.sampler);
  add("steps", s.steps);
  add("eta", s.eta);
  add("spacing", s.spacing);
  add("sigma_min", s.sigma_min);
  add("sigma_max", s.sigma_max);
  add("rho", s.rho);
  add("churn", s.churn);
  add("s_min", s.s_min);
  add("s_max", s.s_max);
  add("s_noise", s.s_noise);
  add("rounding", s.rounding);
  add("guidance", s.guidance.scale);
  add("guidance_schedule", s.guidance.schedule);
  add("guidance_channels", s.guidance.channels);
  add("guidance_interval", s.guidance.interval);
  add("guidance_tolerance", s.guidance.tolerance);
  add("mix_seed", s.mix_seed);
  add("mix", s.mix);
  add_text("autoguidance", job.guide);
  if (job.keep_steps) out["keep_steps"] = true;
  if (!job.branch_job.empty()) {
    out["branch"] = {{"job", job.branch_job}, {"step", job.branch_step}, {"image", job.branch_image}};
  }
  return out;
}

std::string batch_key(const SampleJob& job) {
  if (job.keep_steps || !job.branch_job.empty()) return "";
  if (job.spec.classes == "random") return "";
  if (job.spec.mix_seed) return "";  // shares belong to the places of images
  Json key = to_json(job);
  key.erase("seeds");
  key.erase("classes");
  return key.dump();
}

std::int64_t random_seed() {
  std::uint32_t seed = 0;
  if (::getrandom(&seed, sizeof seed, 0) != sizeof seed) fail("the system gave no random numbers for a seed");
  return seed;
}

}  // namespace diffit::server
