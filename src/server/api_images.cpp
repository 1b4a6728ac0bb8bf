// /api/v1/images and /api/v1/tags: the gallery.
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"
#include "server/api.h"

namespace diffit::server {

namespace {

constexpr std::size_t kMostTags = 32, kLongestTag = 64;

std::int64_t id_of(const std::string& text) {
  try {
    return parse_int(text, "the id of an image");
  } catch (const Error&) {
    throw HttpError(404, fmt::format("there is no image '{}'", text));
  }
}

[[noreturn]] void no_image(std::int64_t id) {
  throw HttpError(404, fmt::format("there is no image {}", id));
}

Reply list_images(Studio& studio, const Request& request) {
  ImageQuery query;
  query.limit = query_number(request, "limit", 60, 1, 500);
  if (request.parameter("before")) query.before = query_number(request, "before", 0, 0, INT64_MAX);
  if (request.parameter("label")) query.label = query_number(request, "label", 0, 0, INT64_MAX);
  query.model = request.parameter("model").value_or("");
  query.tag = request.parameter("tag").value_or("");
  query.job = request.parameter("job").value_or("");
  Json images = Json::array();
  for (const ImageRecord& image : studio.store.images(query)) images.push_back(image_json(image));
  const bool more = static_cast<std::int64_t>(images.size()) == query.limit;
  return json_reply({{"images", images},
                     {"next", more ? images.back()["id"] : Json()},
                     {"total", studio.store.image_count()}});
}

std::vector<std::string> read_tags(const Json& body) {
  const Json tags = body.contains("tags") ? body["tags"] : Json();
  if (!tags.is_array() || tags.size() > kMostTags) {
    throw HttpError(400, fmt::format("`tags`: wanted a list of at most {} texts", kMostTags), "tags");
  }
  std::set<std::string> unique;
  for (const Json& tag : tags) {
    const std::string text = tag.is_string() ? std::string(trim(tag.get<std::string>())) : "";
    if (text.empty() || text.size() > kLongestTag) {
      throw HttpError(400, fmt::format("`tags`: wanted texts of 1 to {} bytes", kLongestTag), "tags");
    }
    unique.insert(text);
  }
  return {unique.begin(), unique.end()};
}

}  // namespace

Json image_json(const ImageRecord& image) {
  const std::string place = fmt::format("/api/v1/images/{}", image.id);
  return {{"id", image.id},
          {"url", place + "/png"},
          {"job", image.job},
          {"position", image.position},
          {"model", image.model},
          {"seed", image.seed},
          {"label", image.label ? Json(*image.label) : Json()},
          {"class", image.class_name},
          {"width", image.width},
          {"height", image.height},
          {"channels", image.channels},
          {"created", image.created},
          {"tags", image.tags},
          {"settings", image.settings}};
}

Reply png_reply(const std::string& png, bool immutable) {
  Reply reply;
  reply.type = "image/png";
  reply.body = png;
  reply.headers.emplace_back("Cache-Control",
                             immutable ? "private, max-age=31536000, immutable" : "no-store");
  return reply;
}

void add_image_routes(Router& router, Studio& studio) {
  router.add("GET", "/api/v1/images",
             [&](const Request& request, const PathValues&) { return list_images(studio, request); });
  router.add("GET", "/api/v1/images/{id}", [&](const Request&, const PathValues& values) {
    const std::int64_t id = id_of(values[0]);
    const std::optional<ImageRecord> image = studio.store.image(id);
    if (!image) no_image(id);
    return json_reply(image_json(*image));
  });
  router.add("GET", "/api/v1/images/{id}/png", [&](const Request&, const PathValues& values) {
    const std::int64_t id = id_of(values[0]);
    const std::optional<std::string> png = studio.store.png(id);
    if (!png) no_image(id);
    return png_reply(*png, true);
  });
  router.add("DELETE", "/api/v1/images/{id}", [&](const Request&, const PathValues& values) {
    const std::int64_t id = id_of(values[0]);
    if (!studio.store.remove_image(id)) no_image(id);
    Reply reply;
    reply.status = 204;
    return reply;
  });
  router.add("PUT", "/api/v1/images/{id}/tags", [&](const Request& request, const PathValues& values) {
    const std::int64_t id = id_of(values[0]);
    const std::vector<std::string> tags = read_tags(json_body(request));
    if (!studio.store.set_tags(id, tags)) no_image(id);
    return json_reply({{"tags", tags}});
  });
  router.add("GET", "/api/v1/tags", [&](const Request&, const PathValues&) {
    Json tags = Json::array();
    for (const auto& [tag, count] : studio.store.tags()) tags.push_back({{"tag", tag}, {"images", count}});
    return json_reply({{"tags", tags}});
  });
}

}  // namespace diffit::server
