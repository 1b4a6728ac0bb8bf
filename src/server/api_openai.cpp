// The subset of OpenAI's images API that a class-conditional model serves: the prompt is names of classes.
#include "base/error.h"
#include "base/text.h"
#include "plot/base64.h"
#include "server/api.h"

namespace diffit::server {

namespace {

Reply error_reply(const HttpError& error) {
  const char* type = error.status() == 401   ? "authentication_error"
                     : error.status() >= 500 ? "server_error"
                                             : "invalid_request_error";
  Reply reply = json_reply({{"error",
                             {{"message", error.what()},
                              {"type", type},
                              {"param", error.field().empty() ? Json() : Json(error.field())},
                              {"code", Json()}}}},
                           error.status());
  if (error.status() == 503) reply.headers.emplace_back("Retry-After", "2");
  return reply;
}

std::string text_member(const Json& body, const char* name, const std::string& otherwise) {
  if (!body.contains(name) || body[name].is_null()) return otherwise;
  if (!body[name].is_string()) throw HttpError(400, fmt::format("`{}`: wanted a text", name), name);
  return body[name];
}

std::int64_t count_of(const Json& body) {
  if (!body.contains("n") || body["n"].is_null()) return 1;
  const Json& n = body["n"];
  if (!n.is_number_integer() || n < 1 || n > 10) throw HttpError(400, "`n`: wanted 1 to 10", "n");
  return n.get<std::int64_t>();
}

Reply generations(Studio& studio, const Request& request) {
  const Json body = json_body(request);
  const ServedModel& model = studio.models.find(text_member(body, "model", ""));
  const std::string prompt = text_member(body, "prompt", "");
  if (prompt.empty()) throw HttpError(400, "`prompt`: wanted the name of a class", "prompt");
  const std::string format = text_member(body, "response_format", "");
  if (!format.empty() && format != "url" && format != "b64_json") {
    throw HttpError(400, "`response_format`: wanted url or b64_json", "response_format");
  }
  Json spec = {{"model", model.name}, {"seeds", Json::array()}};
  for (std::int64_t i = count_of(body); i > 0; --i) spec["seeds"].push_back(random_seed());
  if (model.classes > 0) spec["classes"] = labels_of(model, prompt, "prompt");
  const MadeImages made = make_images(studio, spec);
  Json data = Json::array();
  std::string size;
  for (const std::int64_t id : made.ids) {
    const std::optional<ImageRecord> image = studio.store.image(id);
    const std::optional<std::string> png = studio.store.png(id);
    if (!image || !png) continue;  // removed meanwhile
    Json& entry = data.emplace_back(Json::object());
    if (format != "url") entry["b64_json"] = base64(std::as_bytes(std::span(*png)));
    if (format != "b64_json") {
      entry["url"] = fmt::format("http://{}/api/v1/images/{}/png", request.header("host"), id);
    }
    entry["revised_prompt"] = image->class_name;
    size = fmt::format("{}x{}", image->width, image->height);
  }
  return json_reply({{"created", static_cast<std::int64_t>(now())},
                     {"data", data},
                     {"output_format", "png"},
                     {"size", size}});
}

Reply list_models(const Studio& studio) {
  Json data = Json::array();
  for (const ServedModel& model : studio.models.all()) {
    data.push_back({{"id", model.name}, {"object", "model"}, {"created", 0}, {"owned_by", "diffit"}});
  }
  return json_reply({{"object", "list"}, {"data", data}});
}

}  // namespace

void add_openai_routes(Router& router, Studio& studio) {
  router.add("POST", "/v1/images/generations", [&](const Request& request, const PathValues&) {
    try {
      return generations(studio, request);
    } catch (const HttpError& error) {
      return error_reply(error);
    }
  });
  router.add("GET", "/v1/models", [&](const Request&, const PathValues&) { return list_models(studio); });
}

}  // namespace diffit::server
