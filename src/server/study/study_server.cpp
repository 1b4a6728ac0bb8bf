#include "server/study/study_server.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "server/access.h"
#include "server/http_server.h"
#include "server/jobs.h"
#include "server/members.h"
#include "server/study/answers.h"
#include "server/web_file.h"

namespace diffit::server {

namespace {

constexpr std::int64_t kLargestBody = 1 << 14;
constexpr double kLongest = 86400;  // seconds for an answer that are believed
/// Files of web/ that raters may read.
constexpr const char* kFiles[] = {"study.js", "dom.js", "app.css", "icon.svg"};

/// The study and who asks about it.
class Booth {
 public:
  Booth(const StudyPlan& plan, Answers& answers) : plan_(plan), answers_(answers) {}

  std::int64_t rater_of(const std::string& link) const {
    for (std::int64_t r = 0; r < plan_.raters(); ++r) {
      if (same_secret(link, plan_.links[static_cast<std::size_t>(r)])) return r;
    }
    throw HttpError(404, "this link belongs to no rater of the study");
  }

  /// The first trial without an answer; their number if there is none.
  std::int64_t next_trial(std::int64_t rater) const {
    const std::vector<bool> answered = answers_.answered(rater);
    return std::find(answered.begin(), answered.end(), false) - answered.begin();
  }

  /// What the page shows.
  Json state(const std::string& link) const {
    const std::int64_t next = next_trial(rater_of(link)), all = plan_.trials_of_rater();
    Json out = {{"question", plan_.question}, {"done", next}, {"total", all}, {"trial", Json()}};
    if (next < all) {
      const std::string place = fmt::format("/api/v1/study/{}/trials/{}/", link, next);
      out["trial"] = {{"number", next}, {"left", place + "left"}, {"right", place + "right"}};
    }
    return out;
  }

  Reply answer(const std::string& link, const Request& request) {
    const Json body = json_body(request);
    Members members(body, "body");
    std::optional<std::int64_t> trial;
    std::string side;
    double seconds = 0;
    members.read("trial", trial, 0, plan_.trials_of_rater() - 1);
    members.read("side", side);
    members.read("seconds", seconds);
    members.refuse_unknown();
    if (!trial) refuse("trial", "wanted the number of the trial");
    if (side != "left" && side != "right") refuse("side", "wanted \"left\" or \"right\"");
    if (!std::isfinite(seconds) || seconds < 0) refuse("seconds", "wanted a number of at least 0");
    const std::int64_t rater = rater_of(link);
    // A trial that was answered before, by a double click or in another window, stays as it is.
    if (*trial == next_trial(rater))
      answers_.add({rater, *trial, side == "left" ? 0 : 1, std::min(seconds, kLongest), now()});
    return json_reply(state(link));
  }

  Reply image(const PathValues& values) const {
    const std::int64_t rater = rater_of(values[0]);
    std::int64_t trial = -1;
    try {
      trial = parse_int(values[1], "a trial");
    } catch (const Error&) {  // 404
    }
    const bool side = values[2] == "left" || values[2] == "right";
    if (trial != next_trial(rater) || trial >= plan_.trials_of_rater() || !side)
      throw HttpError(404, "this is no image of the trial that is open");
    const std::vector<std::byte> png =
        plan_.png_of(plan_.trials_for(rater)[static_cast<std::size_t>(trial)], values[2] == "left" ? 0 : 1);
    Reply reply;
    reply.type = "image/png";
    reply.body.assign(reinterpret_cast<const char*>(png.data()), png.size());
    return reply;
  }

 private:
  const StudyPlan& plan_;
  Answers& answers_;
};

}  // namespace

struct StudyServer::Parts {
  explicit Parts(const StudyServeSpec& spec)
      : plan(read_study(spec.folder)),
        answers(plan, /*write=*/true),
        booth(plan, answers),
        http(router, {.access = access, .body = kLargestBody, .requests = requests, .errors = errors}) {
    access.host = spec.host;
    access.loopback = is_loopback(spec.host) && spec.address.empty();
    router.add("GET", "/", [](const Request&, const PathValues&) { return web_file("study.html"); });
    for (const char* name : kFiles) {
      router.add("GET", std::string("/") + name,
                 [name](const Request&, const PathValues&) { return web_file(name); });
    }
    router.add("GET", "/healthz", [](const Request&, const PathValues&) {
      return json_reply({{"status", "ok"}});
    });
    router.add("GET", "/api/v1/study/{link}", [this](const Request&, const PathValues& values) {
      return json_reply(booth.state(values[0]));
    });
    router.add("POST", "/api/v1/study/{link}/answers",
               [this](const Request& request, const PathValues& values) {
                 return booth.answer(values[0], request);
               });
    router.add("GET", "/api/v1/study/{link}/trials/{trial}/{side}",
               [this](const Request&, const PathValues& values) { return booth.image(values); });
    const int port = http.bind(spec.host, spec.port);
    const std::string host = spec.host.find(':') == std::string::npos ? spec.host : "[" + spec.host + "]";
    address = spec.address.empty() ? fmt::format("http://{}:{}/", host, port) : spec.address;
    if (!address.ends_with('/')) address += '/';
    for (const std::string& link : plan.links) links.push_back(address + "#" + link);
    http.start();
  }

  StudyPlan plan;
  Answers answers;
  Booth booth;
  Access access;
  Router router;
  std::atomic<std::int64_t> requests = 0, errors = 0;
  HttpServer http;
  std::string address;
  std::vector<std::string> links;
};

StudyServer::StudyServer(const StudyServeSpec& spec) : parts_(std::make_unique<Parts>(spec)) {}

StudyServer::~StudyServer() {
  stop();
}

const std::string& StudyServer::address() const {
  return parts_->address;
}

const std::vector<std::string>& StudyServer::links() const {
  return parts_->links;
}

void StudyServer::stop() {
  parts_->http.stop();
}

}  // namespace diffit::server
