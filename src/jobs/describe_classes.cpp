// The classes of a model, for diffit::describe().
#include "base/bundled.h"
#include "base/error.h"
#include "data/class_names.h"
#include "jobs/described.h"
#include "model/model_file.h"

namespace diffit::jobs {

namespace {

/// The classes of a model, or of a table by its name.
ClassNames named_classes(const std::string& what) {
  const fs::path folder = home() / "presets/classes";
  const fs::path table = folder / ((what.empty() ? "imagenet" : what) + ".txt");
  std::error_code none;
  if (what.find('/') == std::string::npos && fs::is_regular_file(table, none)) return read_class_names(table);
  const WeightsFile file(model_path(what));
  const std::int64_t classes = std::visit([](const auto& c) { return c.classes; }, config_of(file));
  DIFFIT_CHECK(classes > 0, "{}: the model is unconditional and has no classes", what);
  auto names = class_names_of(file.path(), file.metadata(), classes, folder);
  DIFFIT_CHECK(names, "{}: its {} classes have no names (metadata key {}, or a table in {})", what, classes,
               kClassNamesKey, folder.string());
  return *std::move(names);
}

}  // namespace

Described describe_classes(const std::string& what) {
  const ClassNames names = named_classes(what);
  Json list = Json::array();
  std::string text;
  for (std::int64_t label = 0; label < names.size(); ++label) {
    list.push_back(names.all_names(label));
    text += fmt::format("{:>4}  {}\n", label, fmt::join(names.all_names(label), "; "));
  }
  return {{{"classes", list}}, text};
}

}  // namespace diffit::jobs
