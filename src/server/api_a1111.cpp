// The subset of the A1111 web UI's API that a class-conditional model serves: the prompt is names of classes.
#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/text.h"
#include "config/json_text.h"
#include "plot/base64.h"
#include "server/api.h"

namespace diffit::server {

namespace {

/// Names that A1111's clients use for our samplers.
struct SamplerName {
  const char *theirs, *ours;
};
constexpr SamplerName kNames[] = {{"Heun", "heun"}, {"Euler", "euler"},      {"DDPM", "ddpm"},
                                  {"DDIM", "ddim"}, {"DPM++ 2M", "dpmpp2m"}, {"UniPC", "unipc"}};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string sampler_named(const std::string& name) {
  std::string known;
  for (const auto& [theirs, ours] : kNames) {
    if (lower(name) == lower(theirs) || lower(name) == ours) return ours;
    known += (known.empty() ? "" : ", ") + std::string(theirs);
  }
  throw HttpError(404, fmt::format("`sampler_name`: there is no sampler '{}'; available: {}", name, known),
                  "sampler_name");
}

Reply error_reply(const HttpError& error) {
  Reply reply = json_reply({{"error", error.status() == 404 ? "NotFound" : "HTTPException"},
                            {"detail", error.what()},
                            {"body", ""},
                            {"errors", error.what()}},
                           error.status() == 400 ? 422 : error.status());
  if (error.status() == 503) reply.headers.emplace_back("Retry-After", "2");
  return reply;
}

/// The member as T, or `otherwise` where it is missing or null.
template <class T>
T member(const Json& body, const char* name, T otherwise) {
  if (!body.contains(name) || body[name].is_null()) return otherwise;
  const Json& value = body[name];
  const bool fits = std::is_same_v<T, std::string> ? value.is_string()
                    : std::is_same_v<T, double>    ? value.is_number()
                                                   : value.is_number_integer();
  if (!fits) throw HttpError(400, fmt::format("`{}`: got {}", name, value.type_name()), name);
  return value.get<T>();
}

std::string model_of(Studio& studio, const Json& body) {
  if (body.contains("override_settings") && body["override_settings"].is_object()) {
    const std::string name = member<std::string>(body["override_settings"], "sd_model_checkpoint", "");
    if (!name.empty()) return name;
  }
  const std::lock_guard guard(studio.mutex);
  return studio.a1111_model;
}

/// Their request as a specification.
Json spec_of(Studio& studio, const Json& body) {
  const ServedModel& model = studio.models.find(model_of(studio, body));
  const auto batch = member<std::int64_t>(body, "batch_size", 1),
             rounds = member<std::int64_t>(body, "n_iter", 1);
  if (batch < 1 || rounds < 1 || batch > studio.limits.images || rounds > studio.limits.images ||
      batch * rounds > studio.limits.images) {
    throw HttpError(400, fmt::format("`batch_size` times `n_iter`: wanted 1 to {}", studio.limits.images),
                    "batch_size");
  }
  auto seed = member<std::int64_t>(body, "seed", -1);
  if (seed < 0) seed = random_seed();
  Json spec = {{"model", model.name}, {"seeds", Json::array()}};
  for (std::int64_t i = 0; i < batch * rounds; ++i) spec["seeds"].push_back(seed + i);
  const std::string prompt = member<std::string>(body, "prompt", "");
  if (model.classes > 0) {
    spec["classes"] = prompt.empty() ? Json("random") : Json(labels_of(model, prompt, "prompt"));
  }
  std::string sampler = member<std::string>(body, "sampler_name", "");
  if (sampler.empty()) sampler = member<std::string>(body, "sampler_index", "");
  if (!sampler.empty()) spec["sampler"] = sampler_named(sampler);
  if (const auto steps = member<std::int64_t>(body, "steps", 0); steps > 0) spec["steps"] = steps;
  if (const double scale = member<double>(body, "cfg_scale", 1); scale != 1) spec["guidance"] = scale;
  return spec;
}

Reply text_to_image(Studio& studio, const Request& request) {
  const Json body = json_body(request);
  const MadeImages made = make_images(studio, spec_of(studio, body), [&](const std::string& id) {
    const std::lock_guard guard(studio.mutex);
    studio.a1111_job = id;
  });
  Json images = Json::array(), seeds = Json::array(), prompts = Json::array(), texts = Json::array();
  Json info = Json::object();
  for (const std::int64_t id : made.ids) {
    const std::optional<ImageRecord> image = studio.store.image(id);
    const std::optional<std::string> png = studio.store.png(id);
    if (!image || !png) continue;  // removed meanwhile
    images.push_back(base64(std::as_bytes(std::span(*png))));
    seeds.push_back(image->seed);
    prompts.push_back(image->class_name);
    texts.push_back(json_text(image->settings));
    info["width"] = image->width;
    info["height"] = image->height;
    info["sampler_name"] = image->settings["sampler"];
    info["steps"] = image->settings["steps"];
    info["sd_model_name"] = image->model;
  }
  info["prompt"] = member<std::string>(body, "prompt", "");
  info["seed"] = seeds.empty() ? Json() : seeds[0];
  info["all_seeds"] = seeds;
  info["all_prompts"] = prompts;
  info["infotexts"] = texts;
  return json_reply({{"images", images}, {"parameters", body}, {"info", json_text(info)}});
}

Reply progress(Studio& studio) {
  std::string id;
  {
    const std::lock_guard guard(studio.mutex);
    id = studio.a1111_job;
  }
  Json job = id.empty() ? Json() : studio.queue.describe(id);
  const bool runs = job.is_object() && (job["state"] == "running" || job["state"] == "queued");
  const bool counts = runs && job["progress"].is_object() && job["progress"]["total"] > 0;
  const double share =
      counts ? job["progress"]["done"].get<double>() / job["progress"]["total"].get<double>() : 0;
  const double started = counts && job["started"].is_number() ? job["started"].get<double>() : now();
  Json image;
  if (runs && job["preview"].is_string()) {
    const std::string png = studio.queue.preview(id);
    image = base64(std::as_bytes(std::span(png)));
  }
  return json_reply({{"progress", share},
                     {"eta_relative", share > 0 ? (now() - started) * (1 - share) / share : 0},
                     {"state",
                      {{"skipped", false},
                       {"interrupted", false},
                       {"job", runs ? id : ""},
                       {"job_count", runs ? 1 : 0},
                       {"sampling_step", counts ? job["progress"]["done"] : Json(0)},
                       {"sampling_steps", counts ? job["progress"]["total"] : Json(0)}}},
                     {"current_image", image},
                     {"textinfo", Json()}});
}

Reply options(Studio& studio) {
  const std::lock_guard guard(studio.mutex);
  return json_reply({{"sd_model_checkpoint", studio.models.find(studio.a1111_model).name},
                     {"samples_format", "png"},
                     {"save_images_add_number", true}});
}

Reply set_options(Studio& studio, const Request& request) {
  const std::string name = member<std::string>(json_body(request), "sd_model_checkpoint", "");
  if (!name.empty()) {
    studio.models.find(name);
    const std::lock_guard guard(studio.mutex);
    studio.a1111_model = name;
  }
  return json_reply(Json::object());
}

Reply interrupt(Studio& studio) {
  std::string id;
  {
    const std::lock_guard guard(studio.mutex);
    id = studio.a1111_job;
  }
  try {
    if (!id.empty()) studio.queue.cancel(id);
  } catch (const HttpError&) {  // it has ended
  }
  return json_reply(Json::object());
}

Reply samplers() {
  Json all = Json::array();
  for (const auto& [theirs, ours] : kNames) {
    all.push_back({{"name", theirs}, {"aliases", {ours}}, {"options", Json::object()}});
  }
  return json_reply(all);
}

Reply list_models(const Studio& studio) {
  Json all = Json::array();
  for (const ServedModel& model : studio.models.all()) {
    all.push_back({{"title", model.name},
                   {"model_name", model.name},
                   {"hash", Json()},
                   {"sha256", Json()},
                   {"filename", model.name},
                   {"config", Json()}});
  }
  return json_reply(all);
}

}  // namespace

void add_a1111_routes(Router& router, Studio& studio) {
  const auto add = [&](const char* method, const char* path, auto handler) {
    router.add(method, path, [handler](const Request& request, const PathValues&) {
      try {
        return handler(request);
      } catch (const HttpError& error) {
        return error_reply(error);
      }
    });
  };
  add("POST", "/sdapi/v1/txt2img", [&](const Request& r) { return text_to_image(studio, r); });
  add("GET", "/sdapi/v1/progress", [&](const Request&) { return progress(studio); });
  add("GET", "/sdapi/v1/options", [&](const Request&) { return options(studio); });
  add("POST", "/sdapi/v1/options", [&](const Request& r) { return set_options(studio, r); });
  add("POST", "/sdapi/v1/interrupt", [&](const Request&) { return interrupt(studio); });
  add("GET", "/sdapi/v1/samplers", [](const Request&) { return samplers(); });
  add("GET", "/sdapi/v1/sd-models", [&](const Request&) { return list_models(studio); });
}

}  // namespace diffit::server
