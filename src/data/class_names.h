// Names of classes, so that people need not know labels by heart.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "io/tensors/tensor_table.h"

namespace diffit::data {

inline constexpr const char* kClassNamesKey = "diffit.class_names";
/// A JSON list of the labels that no training image had; absent if there are none.
inline constexpr const char* kEmptyClassesKey = "diffit.empty_classes";

/// One entry per label, 0 up; each has a name and perhaps further ones.
class ClassNames {
 public:
  /// Error(invalid) that begins with `where` for an empty name, or one that two labels share.
  ClassNames(std::vector<std::vector<std::string>> names, const std::string& where);

  std::int64_t size() const { return static_cast<std::int64_t>(names_.size()); }
  /// The first name of a label, 0 <= label < size().
  const std::string& name(std::int64_t label) const {
    return names_[static_cast<std::size_t>(label)].front();
  }
  const std::vector<std::string>& all_names(std::int64_t label) const {
    return names_[static_cast<std::size_t>(label)];
  }
  /// The label of that whole name, or of the only label with a name that begins so; upper and lower case are
  /// alike. Error(invalid) names the candidates of several, or the nearest name of none.
  std::int64_t find(std::string_view name) const;

 private:
  std::vector<std::vector<std::string>> names_;
  std::string where_;
};

/// A text file: a line per label, "name; further name; ...", '#' begins a comment line. Error(invalid) names
/// file and line.
ClassNames read_class_names(const fs::path& path);

/// The names of a model's classes: what its metadata says under diffit.class_names (a JSON list with a name,
/// or a list of names, per label), else the table `folder`/NAME.txt for the model's own file name, else
/// imagenet.txt for 1000 classes. Nothing where none fits. Error(invalid) where the metadata is malformed or
/// names another number of classes than `classes`.
std::optional<ClassNames> class_names_of(const fs::path& model, const Metadata& metadata,
                                         std::int64_t classes, const fs::path& folder);

/// The labels under diffit.empty_classes, ascending. Throws Error(invalid), beginning with `where`, unless
/// they are labels of 0 to `classes` - 1, at least one of which is not listed.
std::vector<std::int64_t> empty_classes_of(const Metadata& metadata, std::int64_t classes,
                                           const std::string& where);

/// Metadata of a model with `classes` classes, trained on `images[label]` images of the class `names[label]`.
/// Names are omitted if their count is not `classes`, or if they do not distinguish the classes: empty names,
/// names that differ only in case, and numbers.
Metadata class_metadata(const std::vector<std::string>& names, const std::vector<std::int64_t>& images,
                        std::int64_t classes);

}  // namespace diffit::data
