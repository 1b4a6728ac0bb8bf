#include "jobs/guidance_spec.h"

#include <cmath>

#include "base/error.h"
#include "base/text.h"

namespace diffit::jobs {
namespace {

void parse_interval(const std::string& text, Guidance& g) {
  const std::size_t colon = text.find(':');
  const std::string axis = colon == std::string::npos ? "sigma" : text.substr(0, colon);
  if (axis == "t") {
    g.axis = Guidance::Axis::timestep;
  } else if (axis == "step") {
    g.axis = Guidance::Axis::step;
  } else {
    DIFFIT_CHECK(axis == "sigma", "`guidance_interval`: wanted LO,HI, t:LO,HI or step:LO,HI, got '{}'", text);
  }
  const std::vector<std::string> ends =
      split(colon == std::string::npos ? text : text.substr(colon + 1), ',');
  DIFFIT_CHECK(ends.size() == 2, "`guidance_interval`: wanted LO,HI, got '{}'", text);
  g.low = parse_double(ends[0], "`guidance_interval` LO");
  g.high = parse_double(ends[1], "`guidance_interval` HI");
  const bool rises = g.axis == Guidance::Axis::timestep ? g.low <= g.high : g.low < g.high;
  DIFFIT_CHECK(rises && g.low >= 0, "`guidance_interval`: wanted 0 <= LO < HI, got {} and {}", g.low, g.high);
  DIFFIT_CHECK(g.axis != Guidance::Axis::step || g.high <= 1,
               "`guidance_interval` step:LO,HI: wanted fractions from 0 to 1, got {}", g.high);
}

}  // namespace

Guidance parse_guidance(const GuidanceSpec& spec, const GuidanceDefaults& defaults) {
  Guidance g;
  g.scale = spec.scale.value_or(1);
  DIFFIT_CHECK(std::isfinite(g.scale) && g.scale >= 0, "`guidance`: wanted a number of at least 0, got {}",
               g.scale);
  const std::string named = spec.schedule.value_or("constant");
  const std::vector<std::string> schedule = split(named, ':');
  if (schedule[0] == "power-cosine" && schedule.size() <= 2) {
    g.power_cosine = true;
    if (schedule.size() == 2) g.power = parse_double(schedule[1], "`guidance_schedule` power-cosine:POWER");
    DIFFIT_CHECK(g.power > 0, "`guidance_schedule`: wanted a power above 0, got {}", g.power);
  } else {
    DIFFIT_CHECK(named == "constant",
                 "`guidance_schedule`: wanted constant or power-cosine[:POWER], got '{}'", named);
  }
  g.channels = defaults.channels;
  if (spec.channels == "all") {
    g.channels = 0;
  } else if (spec.channels) {
    g.channels = parse_int(*spec.channels, "`guidance_channels` (all or a count)");
    DIFFIT_CHECK(g.channels >= 1, "`guidance_channels`: wanted all or at least 1, got {}", g.channels);
  }
  if (spec.interval) parse_interval(*spec.interval, g);
  g.tolerance = spec.tolerance.value_or(defaults.tolerance);
  DIFFIT_CHECK(g.tolerance >= 0 && g.tolerance < 1, "`guidance_tolerance`: wanted 0 to below 1, got {}",
               g.tolerance);
  return g;
}

Json describe(const Guidance& g) {
  Json object = Json::object();
  if (!g.on()) return object;
  object["guidance"] = g.scale;
  if (g.power_cosine) object["guidance_schedule"] = fmt::format("power-cosine:{}", g.power);
  object["guidance_channels"] = g.channels == 0 ? Json("all") : Json(g.channels);
  if (g.low > 0 || std::isfinite(g.high)) {
    constexpr const char* kAxes[] = {"", "t:", "step:"};
    object["guidance_interval"] = fmt::format("{}{},{}", kAxes[static_cast<int>(g.axis)], g.low, g.high);
  }
  object["guidance_tolerance"] = g.tolerance;
  return object;
}

}  // namespace diffit::jobs
