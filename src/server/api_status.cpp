// What this server can do and how it is: capabilities, health, metrics.
#include "base/process.h"
#include "server/api.h"
#include "server/web.h"
#include "server/web_file.h"

namespace diffit::server {

namespace {

Json samplers_json() {
  Json all = Json::array();
  for (const SamplerInfo& s : known_samplers()) {
    all.push_back({{"name", s.name},
                   {"title", s.title},
                   {"source", s.source},
                   {"usual_steps", s.usual_steps},
                   {"least_steps", s.least_steps},
                   {"most_steps", s.most_steps},
                   {"evaluations", s.evaluations},
                   {"latent_only", s.latent_only},
                   {"eta", s.uses_eta},
                   {"spacing", s.uses_spacing},
                   {"sigmas", s.uses_sigmas}});
  }
  return all;
}

Json models_json(const Models& models) {
  Json all = Json::array();
  for (const ServedModel& model : models.all()) {
    Json names = Json::array();
    for (std::int64_t label = 0; label < model.classes; ++label) names.push_back(model.class_name(label));
    all.push_back({{"name", model.name},
                   {"kind", model.latent ? "latent" : "image"},
                   {"resolution", model.resolution > 0 ? Json(model.resolution) : Json()},
                   {"channels", model.channels > 0 ? Json(model.channels) : Json()},
                   {"classes", model.classes},
                   {"class_names", names},
                   {"sampler", model.latent ? "ddpm" : "heun"}});
  }
  return all;
}

Json capabilities(const Studio& studio) {
  const Limits& l = studio.limits;
  return {
      {"version", version()},
      {"jobs", {"sample"}},
      {"models", models_json(studio.models)},
      {"samplers", samplers_json()},
      {"limits",
       {{"images", l.images},
        {"steps", l.steps},
        {"queue", l.queue},
        {"body_bytes", l.body},
        {"kept_images", l.kept_images},
        {"kept_steps", l.kept_steps},
        {"wait_seconds", l.wait}}},
      {"compatible", {"/v1/images/generations", "/v1/models", "/sdapi/v1/txt2img", "/sdapi/v1/progress"}}};
}

/// Prometheus' text format 0.0.4.
class Metrics {
 public:
  void head(const char* name, const char* type, const char* help) {
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  template <class N>
  void add(const char* name, const char* type, const char* help, N value) {
    head(name, type, help);
    line(name, value);
  }
  template <class N>
  void line(const std::string& name, N value) {
    text_ += fmt::format("{} {}\n", name, value);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

Reply metrics(Studio& studio) {
  const Counters& c = studio.queue.counters();
  const JobQueue::Size size = studio.queue.size();
  Metrics m;
  m.head("diffit_jobs_total", "counter", "Jobs that have ended, by state.");
  m.line("diffit_jobs_total{state=\"done\"}", c.done.load());
  m.line("diffit_jobs_total{state=\"failed\"}", c.failed.load());
  m.line("diffit_jobs_total{state=\"cancelled\"}", c.cancelled.load());
  m.add("diffit_jobs_submitted_total", "counter", "Jobs that were taken.", c.submitted.load());
  m.add("diffit_jobs_refused_total", "counter", "Jobs that were refused because the queue was full.",
        c.refused.load());
  m.add("diffit_jobs_queued", "gauge", "Jobs that wait.", size.queued);
  m.add("diffit_jobs_running", "gauge", "Jobs that run.", size.running);
  m.add("diffit_batches_total", "counter", "Requests to the library.", c.batches.load());
  m.add("diffit_jobs_merged_total", "counter", "Jobs that were made in the batch of another job.",
        c.merged.load());
  m.add("diffit_images_total", "counter", "Images that were made.", c.images.load());
  m.add("diffit_evaluations_total", "counter", "Evaluations of a network for one image.",
        c.evaluations.load());
  m.add("diffit_sampling_seconds_total", "counter", "Time spent sampling.", c.seconds.load());
  m.add("diffit_gallery_images", "gauge", "Images in the gallery.", studio.store.image_count());
  m.add("diffit_http_requests_total", "counter", "Requests that were answered.", studio.requests.load());
  m.add("diffit_http_errors_total", "counter", "Requests that were answered by a status of 400 or more.",
        studio.errors.load());
  m.add("diffit_event_streams", "gauge", "Event streams that are open.", studio.streams.load());
  m.add("process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
  Reply reply;
  reply.type = "text/plain; version=0.0.4; charset=utf-8";
  reply.body = m.text();
  return reply;
}

/// Opens a session for a browser: the cookie stands for the token, and scripts cannot read it.
Reply open_session(const Studio& studio, const Request& request) {
  const Json body = json_body(request);
  const Json token = body.contains("token") ? body["token"] : Json();
  const bool right = token.is_string() && same_secret(token.get<std::string>(), studio.access.token);
  if (!studio.access.token.empty() && !right)
    throw HttpError(401, "`token`: this is not the server's token", "token");
  Reply reply;
  reply.status = 204;
  reply.headers.emplace_back("Set-Cookie", fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict",
                                                       kSessionCookie, studio.access.session));
  return reply;
}

}  // namespace

void add_status_routes(Router& router, Studio& studio) {
  router.add("GET", "/healthz", [&](const Request&, const PathValues&) {
    const bool well = !studio.queue.stopping();
    return json_reply({{"status", well ? "ok" : "stopping"}}, well ? 200 : 503);
  });
  router.add("GET", "/metrics", [&](const Request&, const PathValues&) { return metrics(studio); });
  for (const char* place : {"/api/v1/capabilities", "/capabilities"}) {
    router.add("GET", place,
               [&](const Request&, const PathValues&) { return json_reply(capabilities(studio)); });
  }
  router.add("GET", "/api/v1/openapi.json",
             [](const Request&, const PathValues&) { return web_file("openapi.json"); });
  router.add("POST", "/api/v1/session",
             [&](const Request& request, const PathValues&) { return open_session(studio, request); });
}

void add_page_routes(Router& router, Studio&) {
  router.add("GET", "/", [](const Request&, const PathValues&) { return web_file("index.html"); });
  for (const auto& [file, text] : web_files()) {
    const std::string name(file);
    if (name == "openapi.json") continue;
    router.add("GET", "/" + name, [name](const Request&, const PathValues&) { return web_file(name); });
  }
}

}  // namespace diffit::server
