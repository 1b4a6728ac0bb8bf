#include "server/serve.h"

#include "base/error.h"
#include "server/api.h"
#include "server/attention_room.h"
#include "server/http_server.h"

namespace diffit::server {

namespace {

Limits limits_of(const ServeSpec& spec) {
  Limits limits;
  limits.queue = spec.queue;
  limits.images = spec.images;
  return limits;
}

Access access_of(const ServeSpec& spec) {
  Access access;
  access.host = spec.host;
  access.loopback = is_loopback(spec.host);
  access.token = spec.token;
  if (!access.loopback && access.token.empty()) access.token = random_token();
  access.session = random_token();
  return access;
}

}  // namespace

struct Server::Parts {
  Parts(const ServeSpec& spec, const RuntimeOptions& runtime)
      : limits(limits_of(spec)),
        access(access_of(spec)),
        models(spec.models),
        store(spec.data),
        queue(store, models, limits, runtime),
        room(models, spec.runs, limits, runtime),
        studio{store, models, queue, access, limits},
        http(router,
             {.access = access, .body = limits.body, .requests = studio.requests, .errors = studio.errors}) {
    add_job_routes(router, studio);
    add_image_routes(router, studio);
    add_step_routes(router, studio);
    add_status_routes(router, studio);
    add_openai_routes(router, studio);
    add_a1111_routes(router, studio);
    add_run_routes(router, spec.runs);
    add_attention_routes(router, studio, room);
    add_page_routes(router, studio);
    const int port = http.bind(spec.host, spec.port);
    const std::string host = spec.host.find(':') == std::string::npos ? spec.host : "[" + spec.host + "]";
    address = fmt::format("http://{}:{}/", host, port);
    if (!access.token.empty()) address += "#token=" + access.token;
    warning = store.warning();
    queue.start();
    http.start();
  }

  const Limits limits;
  const Access access;
  const Models models;
  Store store;
  JobQueue queue;
  AttentionRoom room;
  Studio studio;
  Router router;
  HttpServer http;
  std::string address, warning;
};

Server::Server(const ServeSpec& spec, const RuntimeOptions& runtime)
    : parts_(std::make_unique<Parts>(spec, runtime)) {}

Server::~Server() {
  stop();
}

const std::string& Server::address() const {
  return parts_->address;
}

const std::string& Server::warning() const {
  return parts_->warning;
}

void Server::stop() {
  parts_->queue.stop();
  parts_->room.stop();
  parts_->http.stop();
}

}  // namespace diffit::server
