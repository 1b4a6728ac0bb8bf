#include "analysis/experiment.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/bundled.h"
#include "base/error.h"
#include "base/printable.h"
#include "config/json_text.h"
#include "config/set_option.h"
#include "io/text_file.h"
#include "train/plan.h"

namespace diffit::analysis {

template <class V>
static void visit_fields(V& v, Experiment& e) {
  v("title", e.title, "title of the comparison");
  v("source", e.source, "table of the paper");
  v("base", e.base, "preset or recipe that the variants change");
  v("reference", e.reference, "name of the variant that the others are compared with; empty: the first");
  v("note", e.note, "free text for readers");
  v("seeds", e.seeds, "training seeds of each variant", 0, 9e15);
  v("images", e.images, "training budget in images; alternative to flops", 0, 1e13);
  v("flops", e.flops, "training budget in FLOP, forward and backward; alternative to images", 0, 1e30);
  v("snapshots", e.snapshots, "evenly spaced snapshots per run", 1, 1000);
}

template <class V>
static void visit_fields(V& v, VariantSection& s) {
  v("name", s.name, "name: letters, digits, '-', '_', '.'");
  v("label", s.label, "label of the table row; empty: the name");
  v("row", s.row, "row of the paper's table");
  v("comparable", s.comparable,
    "what must match the reference within 10%: parameters, flops, both; empty: nothing");
  v("published", s.published, "FID in the paper; 0: none", 0, 1e6);
}

namespace {

constexpr double kComparableWithin = 0.10;
constexpr std::int64_t kFewestSteps = 10;

std::vector<std::string> read_set(const Json& table, const std::string& where) {
  std::vector<std::string> set;
  if (!table.contains("set")) return set;
  DIFFIT_CHECK(table["set"].is_array(), "{}.set: wanted a list of \"key=value\", got {}", where,
               printable(json_text(table["set"])));
  for (const Json& item : table["set"]) {
    DIFFIT_CHECK(item.is_string(), "{}.set: wanted \"key=value\", got {}", where, printable(json_text(item)));
    set.push_back(item);
  }
  return set;
}

VariantSection read_variant(const Json& table, const std::string& where) {
  VariantSection v;
  const std::string also[] = {"set"};
  read_fields(v, table, where, also);
  v.set = read_set(table, where);
  const bool plain = !v.name.empty() && std::all_of(v.name.begin(), v.name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  }) && v.name.front() != '.';
  DIFFIT_CHECK(plain && v.name.size() <= 60, "{}.name: wanted letters, digits, '-', '_' and '.', got '{}'",
               where, printable(v.name));
  static const std::set<std::string> kWays{"", "parameters", "flops", "both"};
  DIFFIT_CHECK(kWays.contains(v.comparable), "{}.comparable: wanted parameters, flops or both, got '{}'",
               where, printable(v.comparable));
  if (v.label.empty()) v.label = v.name;
  return v;
}

std::vector<std::string> names_of(const Experiment& experiment) {
  std::vector<std::string> names;
  for (const VariantSection& v : experiment.variants) names.push_back(v.name);
  return names;
}

std::string where_of(const std::string& where, const VariantSection& v) {
  return fmt::format("{}: variant '{}'", where, v.name);
}

/// Recipe of a variant before it is resolved against the data.
Recipe recipe_of(const Experiment& e, const VariantSection& v, const std::string& data,
                 const std::string& dtype, const std::string& where) {
  const fs::path path = preset_path(e.base);
  Json toml = read_toml(path);
  for (const auto* set : {&e.set, &v.set}) {
    for (const std::string& assignment : *set) {
      const std::string key(trim(assignment.substr(0, assignment.find('='))));
      DIFFIT_CHECK(key != "train.images" && key != "train.epochs" && key != "train.seed",
                   "{}: set '{}': this is set by {} of the experiment", where, printable(assignment),
                   key == "train.seed" ? "seeds" : "budget");
      DIFFIT_CHECK(set == &e.set || !key.starts_with("data."),
                   "{}: set '{}': all variants use the same data; set it for the whole experiment", where,
                   printable(assignment));
      set_in_recipe(toml, assignment);
    }
  }
  if (!data.empty()) set_in_table(toml, "data", "path", data, where);
  Recipe recipe = read_recipe(toml, where);
  DIFFIT_CHECK(recipe.kind() == ModelKind::image, "{}: variants must be image-space models, but '{}' is not",
               where, e.base);
  if (recipe.train.dtype == "auto") recipe.train.dtype = dtype;
  recipe.train.seed = e.seeds.front();
  recipe.train.keep_states = 1;
  return recipe;
}

/// Sets the number of images of the recipe to its budget, in whole batches.
void set_budget(const Experiment& e, PlannedVariant& planned, const std::string& where) {
  Recipe& recipe = planned.recipe;
  const std::int64_t batch = recipe.train.batch;
  const double images = e.images > 0 ? static_cast<double>(e.images) : e.flops / planned.flops_per_image;
  constexpr double kMostImages = 1e13;  // as of train.images
  DIFFIT_CHECK(images <= kMostImages, "{}: the budget is {:.3g} images per run, the limit is {:.0e}", where,
               images, kMostImages);
  const std::int64_t steps = static_cast<std::int64_t>(images) / batch;
  DIFFIT_CHECK(steps >= kFewestSteps,
               "{}: the budget of {} is too small to score: {} steps of {} images, wanted at least {} steps",
               where, e.images > 0 ? fmt::format("{} images", e.images) : human_count(e.flops) + "FLOP",
               steps, batch, kFewestSteps);
  recipe.train.images = steps * batch;
  recipe.train.snapshot_images = e.snapshots > 1 ? steps / e.snapshots * batch : 0;
}

void check_comparable(const PlannedVariant& planned, const std::string& reference, const std::string& where) {
  const std::string& way = planned.section.comparable;
  const auto check = [&](const char* what, double ratio) {
    DIFFIT_CHECK(std::abs(ratio - 1) <= kComparableWithin,
                 "{}: declared comparable by {}, but has {:.3f} times those of '{}'; change its width or "
                 "depth, or set comparable = \"\"",
                 where, what, ratio, reference);
  };
  if (way == "parameters" || way == "both") check("parameters", planned.parameters_ratio);
  if (way == "flops" || way == "both") check("flops", planned.flops_ratio);
}

}  // namespace

std::size_t Experiment::reference_index() const {
  const auto found = std::find_if(variants.begin(), variants.end(),
                                  [this](const VariantSection& v) { return v.name == reference; });
  return found == variants.end() ? 0 : static_cast<std::size_t>(found - variants.begin());
}

Experiment read_experiment(const Json& toml, const std::string& where) {
  Experiment e;
  const std::string also[] = {"set", "score", "variant"};
  read_fields(e, toml, where, also);
  e.set = read_set(toml, where);
  if (toml.contains("score")) read_fields(e.score, toml["score"], where + ": score");
  DIFFIT_CHECK(toml.contains("variant") && toml["variant"].is_array() && !toml["variant"].empty(),
               "{}: wanted at least one table [[variant]]", where);
  std::set<std::string> names;
  for (const Json& table : toml["variant"]) {
    const VariantSection& v =
        e.variants.emplace_back(read_variant(table, fmt::format("{}: variant[{}]", where, names.size())));
    DIFFIT_CHECK(names.insert(v.name).second, "{}: two variants are named '{}'", where, v.name);
  }
  DIFFIT_CHECK(!e.base.empty(), "{}: base is missing: the preset or recipe that the variants change", where);
  DIFFIT_CHECK(!e.seeds.empty() && std::set(e.seeds.begin(), e.seeds.end()).size() == e.seeds.size(),
               "{}: seeds: wanted at least one, each once", where);
  DIFFIT_CHECK((e.images > 0) != (e.flops > 0), "{}: wanted a budget, either images or flops; got {}", where,
               e.images > 0 ? "both" : "neither");
  if (e.reference.empty()) e.reference = e.variants.front().name;
  DIFFIT_CHECK(names.contains(e.reference), "{}: reference: unknown variant '{}'{}", where,
               printable(e.reference), did_you_mean(e.reference, names_of(e)));
  return e;
}

Json write_experiment(const Experiment& e) {
  FieldWriter fields;
  Experiment copy = e;
  visit_fields(fields, copy);
  Json toml = fields.object;
  toml["set"] = e.set;
  toml["score"] = write_fields(e.score);
  toml["variant"] = Json::array();
  for (const VariantSection& v : e.variants) {
    FieldWriter variant;
    VariantSection section = v;
    visit_fields(variant, section);
    variant.object["set"] = v.set;
    toml["variant"].push_back(variant.object);
  }
  return toml;
}

void keep_variants(Experiment& experiment, const std::vector<std::string>& names) {
  if (names.empty()) return;
  const std::vector<std::string> known = names_of(experiment);
  for (const std::string& name : names) {
    DIFFIT_CHECK(std::find(known.begin(), known.end(), name) != known.end(),
                 "unknown variant '{}'{}; available: {}", printable(name), did_you_mean(name, known),
                 fmt::join(known, ", "));
  }
  std::erase_if(experiment.variants, [&](const VariantSection& v) {
    return v.name != experiment.reference && std::find(names.begin(), names.end(), v.name) == names.end();
  });
}

Plan plan_experiment(const Experiment& experiment, const std::string& data, const std::string& dtype,
                     const std::string& where) {
  Plan plan{experiment, {}, {}};
  for (const VariantSection& v : experiment.variants) {
    PlannedVariant& planned = plan.variants.emplace_back();
    planned.section = v;
    planned.recipe = recipe_of(experiment, v, data, dtype, where_of(where, v));
  }
  plan.data = open_training_data(plan.variants.front().recipe, where);
  for (PlannedVariant& planned : plan.variants) {
    const std::string place = where_of(where, planned.section);
    resolve(planned.recipe, plan.data, place);
    const TrainingPlan cost = plan_training(planned.recipe, summary(plan.data).resolution, 4);
    planned.cost = cost.network;
    planned.flops_per_image = cost.flops_per_image;
    set_budget(experiment, planned, place);
  }
  const PlannedVariant reference = plan.variants[experiment.reference_index()];
  for (PlannedVariant& planned : plan.variants) {
    planned.parameters_ratio =
        static_cast<double>(planned.cost.parameters) / static_cast<double>(reference.cost.parameters);
    planned.flops_ratio = planned.flops_per_image / reference.flops_per_image;
    check_comparable(planned, experiment.reference, where_of(where, planned.section));
  }
  return plan;
}

}  // namespace diffit::analysis
