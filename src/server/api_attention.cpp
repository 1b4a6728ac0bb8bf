// /api/v1/attention: where a pixel looks, measures over noise levels, counterfactuals, a layer as npz.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "io/images/image.h"
#include "plot/base64.h"
#include "server/api.h"
#include "server/attention_room.h"
#include "server/members.h"

namespace diffit::server {

namespace {

constexpr std::int64_t kLargestSeed = (std::int64_t{1} << 53) - 1;
constexpr std::int64_t kMostLevels = 32, kMostSteps = 100, kMostHeads = 1024;

/// Six digits after the point: less than what rounding of the network leaves.
double rounded(double value) {
  return std::round(value * 1e6) / 1e6;
}

Json rounded_all(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(rounded(value));
  return list;
}

/// [rows][columns] of a flat list.
template <class T>
Json rows_of(const T* values, std::size_t rows, std::size_t columns) {
  Json list = Json::array();
  for (std::size_t r = 0; r < rows; ++r) {
    Json& row = list.emplace_back(Json::array());
    for (std::size_t c = 0; c < columns; ++c) row.push_back(rounded(values[r * columns + c]));
  }
  return list;
}

/// A data URI, or null for an empty image.
Json png_json(const Image& image) {
  if (image.width == 0) return {};
  return "data:image/png;base64," + base64(encode_png(image, 1));
}

/// What the requests have in common.
struct Looked {
  ServedModel model;
  AttentionSpec spec;
};

void read_pixel(Members& members, AttentionSpec& spec) {
  const Json* pixel = members.find("pixel");
  if (pixel == nullptr) return;
  if (!pixel->is_array() || pixel->size() != 2) refuse("pixel", "wanted [y, x], shares of height and width");
  spec.y = Members::number("pixel", (*pixel)[0]);
  spec.x = Members::number("pixel", (*pixel)[1]);
}

void read_class(Members& members, const Json& body, const ServedModel& model, AttentionSpec& spec) {
  const Json* given = members.find("class");
  if (given == nullptr) {
    // Absent: the first class. Null: no class, which only a given image can have.
    const bool null = body.contains("class");
    if (null && !spec.image && model.classes > 0)
      refuse("class", "a sample of the model's own needs a class; null goes with `image`");
    if (!null && model.classes > 0) spec.label = 0;
    return;
  }
  if (model.classes == 0) refuse("class", "the model has no classes");
  spec.label = given->is_string() ? labels_of(model, given->get<std::string>(), "class").at(0)
                                  : Members::integer("class", *given, 0, model.classes - 1);
}

Looked read_looked(Members& members, const Json& body, const AttentionRoom& room) {
  Looked looked;
  AttentionSpec& spec = looked.spec;
  std::string name, image;
  members.read("model", name);
  looked.model = room.find(name);
  members.read("image", image);
  if (!image.empty()) {
    try {
      spec.image = decode_image(decode_base64(image, "image"), "`image`");
    } catch (const Error& error) {
      throw HttpError(400, error.what(), "image");
    }
  }
  read_class(members, body, looked.model, spec);
  std::int64_t seed = 0;
  members.read("seed", seed, 0, kLargestSeed);
  spec.seed = static_cast<std::uint64_t>(seed);
  members.read("sigma", spec.sigma);
  members.read("layer", spec.layer);
  members.read("all_layers", spec.all_layers);
  read_pixel(members, spec);
  return looked;
}

Json measures_json(const AttentionLayer& layer) {
  if (!layer.measured) return {};
  return {{"entropy", rounded_all(layer.entropy)},
          {"distance", rounded_all(layer.distance)},
          {"agreement", rounded_all(layer.agreement)},
          {"on_time", rounded_all(layer.on_time)},
          {"time_share",
           {{"q", rounded(layer.q)},
            {"k", rounded(layer.k)},
            {"v", rounded(layer.v)},
            {"scores", rounded(layer.scores)}}}};
}

Json layers_json(const AttentionModel& model) {
  Json list = Json::array();
  for (const AttentionLayerInfo& layer : model.layers()) {
    list.push_back({{"name", layer.name},
                    {"side", layer.side},
                    {"window", layer.window},
                    {"heads", layer.heads},
                    {"time_key", layer.time_key},
                    {"bias", layer.bias}});
  }
  return list;
}

Json view_json(const AttentionModel& model, const AttentionSpec& spec, const AttentionView& view) {
  Json pixels = Json::array();
  for (const AttentionLayer& layer : view.layers) {
    const auto info = std::find_if(model.layers().begin(), model.layers().end(),
                                   [&](const AttentionLayerInfo& i) { return i.name == layer.name; });
    const auto heads = static_cast<std::size_t>(info->heads);
    pixels.push_back({{"layer", layer.name},
                      {"row", layer.row},
                      {"column", layer.column},
                      {"top", layer.top},
                      {"left", layer.left},
                      {"attention", rows_of(layer.attention.data(), heads, layer.attention.size() / heads)},
                      {"measures", measures_json(layer)}});
  }
  const std::string chosen = spec.layer.empty() ? model.layers().front().name : spec.layer;
  const auto side = static_cast<std::size_t>(view.bias_side);
  Json bias = Json::array();
  for (std::size_t h = 0; side > 0 && h < view.bias.size() / (side * side); ++h)
    bias.push_back(rows_of(view.bias.data() + h * side * side, side, side));
  return {{"sigma", view.sigma},
          {"sigma_range", {model.sigma_min(), model.sigma_max()}},
          {"clean", png_json(view.clean)},
          {"noisy", png_json(view.noisy)},
          {"estimate", png_json(view.estimate)},
          {"layers", layers_json(model)},
          {"pixels", pixels},
          {"layer", chosen},
          {"bias", bias}};
}

Json curves_json(const AttentionCurves& curves) {
  Json levels = Json::array();
  for (const std::vector<AttentionLayer>& level : curves.at) {
    Json& list = levels.emplace_back(Json::array());
    for (const AttentionLayer& layer : level) {
      list.push_back({{"layer", layer.name}, {"measures", measures_json(layer)}});
    }
  }
  return {{"sigmas", curves.sigmas}, {"levels", levels}};
}

AttentionChange read_change(Members& members) {
  const Json* given = members.find("change");
  if (given == nullptr) refuse("change", "wanted an object with `time_sigma`, `zero_bias` or `heads_off`");
  Members inner(*given, "change");
  AttentionChange change;
  inner.read("layer", change.layer);
  inner.read("time_sigma", change.time_sigma);
  inner.read("zero_bias", change.zero_bias);
  if (const Json* heads = inner.find("heads_off")) {
    if (!heads->is_array() || heads->size() > kMostHeads) refuse("heads_off", "wanted a list of heads");
    for (const Json& head : *heads)
      change.heads_off.push_back(Members::integer("heads_off", head, 0, kMostHeads));
  }
  inner.refuse_unknown();
  return change;
}

Json counterfactual_json(const AttentionCounterfactual& c) {
  Json out = {{"sigma", c.sigma},
              {"estimate", png_json(c.estimate)},
              {"changed", png_json(c.changed)},
              {"difference", c.difference},
              {"sample", png_json(c.sample)},
              {"changed_sample", png_json(c.changed_sample)},
              {"sample_difference", c.sample_difference}};
  return out;
}

/// A file of its own in the server's folder, removed at the end.
class NpzFile {
 public:
  explicit NpzFile(const fs::path& folder) : path_(folder / ("attention-" + random_token() + ".npz")) {}
  ~NpzFile() {
    std::error_code none;
    fs::remove(path_, none);
  }
  NpzFile(const NpzFile&) = delete;
  NpzFile& operator=(const NpzFile&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

Reply npz(Studio& studio, AttentionRoom& room, const Request& request) {
  constexpr std::uint64_t kLargest = std::uint64_t{1} << 30;
  const Json body = json_body(request);
  Members members(body, "body");
  const Looked looked = read_looked(members, body, room);
  members.refuse_unknown();
  const NpzFile file(studio.store.folder());
  room.run(looked.model, [&](const AttentionModel& model, Monitor&) {
    model.write_layer(looked.spec, file.path().string());
    return Json();
  });
  Reply reply;
  reply.type = "application/zip";
  reply.headers.emplace_back("Content-Disposition", "attachment; filename=\"attention.npz\"");
  reply.body = read_text(file.path(), kLargest);
  return reply;
}

Json models_json(const Studio& studio, const AttentionRoom& room) {
  Json list = Json::array();
  for (const ServedModel& model : studio.models.all()) {
    list.push_back({{"name", model.name}, {"run", Json()}, {"weights", ""}, {"images", Json()}});
  }
  for (const SnapshotModel& snapshot : room.snapshots()) {
    list.push_back({{"name", snapshot.name},
                    {"run", snapshot.run},
                    {"weights", snapshot.weights},
                    {"images", snapshot.images}});
  }
  return {{"models", list}};
}

}  // namespace

void add_attention_routes(Router& router, Studio& studio, AttentionRoom& room) {
  router.add("GET", "/api/v1/attention/models",
             [&](const Request&, const PathValues&) { return json_reply(models_json(studio, room)); });
  router.add("POST", "/api/v1/attention", [&](const Request& request, const PathValues&) {
    const Json body = json_body(request);
    Members members(body, "body");
    const Looked looked = read_looked(members, body, room);
    members.refuse_unknown();
    Json out = room.run(looked.model, [spec = looked.spec](const AttentionModel& model, Monitor& monitor) {
      return view_json(model, spec, model.view(spec, &monitor));
    });
    out["model"] = looked.model.name;
    Json names = Json::array();
    for (std::int64_t label = 0; label < looked.model.classes; ++label)
      names.push_back(looked.model.class_name(label));
    out["class_names"] = names;
    return json_reply(out);
  });
  router.add("POST", "/api/v1/attention/curves", [&](const Request& request, const PathValues&) {
    const Json body = json_body(request);
    Members members(body, "body");
    const Looked looked = read_looked(members, body, room);
    std::int64_t levels = 8;
    double low = 0.02, high = 20;
    members.read("levels", levels, 2, kMostLevels);
    members.read("sigma_min", low);
    members.read("sigma_max", high);
    members.refuse_unknown();
    return json_reply(
        room.run(looked.model, [=, spec = looked.spec](const AttentionModel& model, Monitor& monitor) {
          return curves_json(model.curves(spec, levels, low, high, &monitor));
        }));
  });
  router.add("POST", "/api/v1/attention/counterfactual", [&](const Request& request, const PathValues&) {
    const Json body = json_body(request);
    Members members(body, "body");
    const Looked looked = read_looked(members, body, room);
    const AttentionChange change = read_change(members);
    std::int64_t steps = 0;
    members.read("steps", steps, 0, kMostSteps);
    members.refuse_unknown();
    return json_reply(
        room.run(looked.model, [=, spec = looked.spec](const AttentionModel& model, Monitor& monitor) {
          return counterfactual_json(model.counterfactual(spec, change, steps, &monitor));
        }));
  });
  router.add("POST", "/api/v1/attention/npz",
             [&](const Request& request, const PathValues&) { return npz(studio, room, request); });
}

}  // namespace diffit::server
