// /api/v1/jobs/{id}/steps: the intermediate states of a job that kept them.
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "io/images/image.h"
#include "server/api.h"

namespace diffit::server {

namespace {

std::string as_text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::int64_t number(const std::string& text) {
  try {
    return parse_int(text, "a number");
  } catch (const Error&) {
    return -1;
  }
}

/// Absolute difference of two estimates, enlarged so that the largest is white.
std::string difference(const std::vector<std::byte>& a, const std::vector<std::byte>& b) {
  const Image one = decode_image(a, "a step"), other = decode_image(b, "a step");
  Image out = one;
  int largest = 1;
  for (std::size_t i = 0; i < out.pixels.size(); ++i) {
    largest = std::max(largest, std::abs(one.pixels[i] - other.pixels[i]));
  }
  for (std::size_t i = 0; i < out.pixels.size(); ++i) {
    out.pixels[i] = static_cast<std::uint8_t>(std::abs(one.pixels[i] - other.pixels[i]) * 255 / largest);
  }
  return as_text(encode_png(out, 1));
}

Reply list_steps(Studio& studio, const std::string& job) {
  studio.queue.describe(job);  // 404
  Json steps = Json::array();
  for (const StepRecord& step : studio.store.steps(job)) {
    const std::string place = fmt::format("/api/v1/jobs/{}/steps/{}/{}", job, step.step, step.position);
    Json& out = steps.emplace_back(Json{{"step", step.step},
                                        {"image", step.position},
                                        {"sigma", step.sigma},
                                        {"noisy", place + "/noisy"},
                                        {"estimate", place + "/estimate"}});
    out["difference"] = step.step > 0 ? Json(place + "/difference") : Json();
  }
  return json_reply({{"job", job}, {"steps", steps}});
}

Reply step_image(Studio& studio, const PathValues& values) {
  const std::string &job = values[0], &what = values[3];
  const std::int64_t step = number(values[1]), position = number(values[2]);
  const std::optional<StepRecord> record = studio.store.step(job, step, position);
  if (record && what == "noisy") return png_reply(as_text(record->noisy), true);
  if (record && what == "estimate") return png_reply(as_text(record->estimate), true);
  if (record && what == "difference") {
    if (const std::optional<StepRecord> before = studio.store.step(job, step - 1, position)) {
      return png_reply(difference(record->estimate, before->estimate), true);
    }
  }
  throw HttpError(
      404, fmt::format("there is no {} of step {} of image {} of job {}", what, values[1], values[2], job));
}

}  // namespace

void add_step_routes(Router& router, Studio& studio) {
  router.add("GET", "/api/v1/jobs/{id}/steps",
             [&](const Request&, const PathValues& values) { return list_steps(studio, values[0]); });
  router.add("GET", "/api/v1/jobs/{id}/steps/{step}/{image}/{what}",
             [&](const Request&, const PathValues& values) { return step_image(studio, values); });
}

}  // namespace diffit::server
