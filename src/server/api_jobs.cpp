// /api/v1/jobs: submit, watch, cancel.
#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "config/json_text.h"
#include "server/api.h"

namespace diffit::server {

namespace {

constexpr double kHeartbeat = 10;  // seconds between signs of life on a quiet stream

Reply submit(Studio& studio, const Request& request) {
  const Json body = json_body(request);
  for (const auto& [name, value] : body.items()) {
    if (name != "kind" && name != "spec") {
      throw HttpError(400, "wanted {\"kind\": ..., \"spec\": {...}} and no other member", name);
    }
  }
  const Json kind = body.contains("kind") ? body["kind"] : Json();
  if (kind != "sample") throw HttpError(400, "`kind`: wanted \"sample\"", "kind");
  const std::string id = studio.queue.submit(body.contains("spec") ? body["spec"] : Json::object());
  Reply reply = json_reply(studio.queue.describe(id), 202);
  reply.headers.emplace_back("Location", "/api/v1/jobs/" + id);
  return reply;
}

std::string event_text(const Event& event) {
  return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", event.id, event.type, json_text(event.data));
}

/// Counts a stream while it lasts.
class StreamCount {
 public:
  explicit StreamCount(std::atomic<std::int64_t>& count) : count_(count) { ++count_; }
  ~StreamCount() { --count_; }
  StreamCount(const StreamCount&) = delete;
  StreamCount& operator=(const StreamCount&) = delete;

 private:
  std::atomic<std::int64_t>& count_;
};

Reply events(Studio& studio, const Request& request, const std::string& id) {
  constexpr std::int64_t kMostStreams = 160;
  std::int64_t after = 0;
  const std::string last = request.header("last-event-id");
  if (std::from_chars(last.data(), last.data() + last.size(), after).ec != std::errc()) after = 0;
  studio.queue.describe(id);  // 404 before the stream begins
  if (studio.streams >= kMostStreams) throw HttpError(503, "too many event streams are open");
  Reply reply;
  reply.type = "text/event-stream";
  reply.headers.emplace_back("Cache-Control", "no-store");
  reply.stream = [&studio, id, after](const Write& write) mutable {
    const StreamCount count(studio.streams);
    if (!write("retry: 2000\n\n")) return;
    for (bool ended = false; !ended;) {
      std::string text;
      try {
        for (const Event& event : studio.queue.wait_events(id, after, kHeartbeat, ended)) {
          text += event_text(event);
          after = event.id;
        }
      } catch (const HttpError&) {
        return;
      }
      if (!write(text.empty() ? ": waiting\n\n" : text)) return;
    }
  };
  return reply;
}

}  // namespace

std::int64_t query_number(const Request& request, const std::string& name, std::int64_t otherwise,
                          std::int64_t low, std::int64_t high) {
  const std::optional<std::string> given = request.parameter(name);
  if (!given) return otherwise;
  try {
    const std::int64_t value = parse_int(*given, "`" + name + "`");
    DIFFIT_CHECK(value >= low && value <= high, "`{}`: wanted {} to {}, got {}", name, low, high, value);
    return value;
  } catch (const Error& error) {
    throw HttpError(400, error.what(), name);
  }
}

MadeImages make_images(Studio& studio, const Json& spec,
                       const std::function<void(const std::string&)>& started) {
  constexpr std::int64_t kMostWaiting = 200;
  if (studio.waiting >= kMostWaiting) throw HttpError(503, "too many requests wait for images");
  const StreamCount count(studio.waiting);
  MadeImages made;
  made.job = studio.queue.submit(spec);
  if (started) started(made.job);
  const bool ended = studio.queue.wait(made.job, studio.limits.wait);
  made.description = studio.queue.describe(made.job);
  if (!ended) {
    if (studio.queue.stopping()) throw HttpError(503, "the server is stopping; the job is kept");
    try {
      studio.queue.cancel(made.job);
    } catch (const HttpError&) {  // it has just ended
    }
    throw HttpError(504, fmt::format("the images took more than {} seconds", studio.limits.wait));
  }
  const std::string state = made.description["state"];
  if (state == "cancelled") throw HttpError(409, "the job was cancelled");
  if (state == "failed") {
    const Json& error = made.description["error"];
    throw HttpError(500, error["detail"].get<std::string>(), error.value("field", ""));
  }
  made.ids = made.description["images"].get<std::vector<std::int64_t>>();
  return made;
}

void add_job_routes(Router& router, Studio& studio) {
  router.add("POST", "/api/v1/jobs",
             [&](const Request& request, const PathValues&) { return submit(studio, request); });
  router.add("GET", "/api/v1/jobs", [&](const Request& request, const PathValues&) {
    return json_reply(studio.queue.list(query_number(request, "limit", 50, 1, 500)));
  });
  router.add("GET", "/api/v1/jobs/{id}", [&](const Request&, const PathValues& values) {
    return json_reply(studio.queue.describe(values[0]));
  });
  router.add("POST", "/api/v1/jobs/{id}/cancel", [&](const Request&, const PathValues& values) {
    studio.queue.cancel(values[0]);
    return json_reply(studio.queue.describe(values[0]), 202);
  });
  router.add("GET", "/api/v1/jobs/{id}/events", [&](const Request& request, const PathValues& values) {
    return events(studio, request, values[0]);
  });
  router.add("GET", "/api/v1/jobs/{id}/preview", [&](const Request&, const PathValues& values) {
    return png_reply(studio.queue.preview(values[0]), false);
  });
}

}  // namespace diffit::server
