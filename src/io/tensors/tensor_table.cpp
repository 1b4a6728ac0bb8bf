#include "io/tensors/tensor_table.h"

#include "base/error.h"
#include "base/printable.h"

namespace diffit::io {

std::int64_t TensorView::count() const {
  return static_cast<std::int64_t>(bytes.size() / element_size(dtype));
}

TensorTable::TensorTable(std::vector<TensorView> tensors, const std::string& where)
    : tensors_(std::move(tensors)) {
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const bool fresh = by_name_.emplace(tensors_[i].name, i).second;
    DIFFIT_CHECK(fresh, "{}: the name '{}' appears twice", where, printable(tensors_[i].name));
  }
}

const TensorView* TensorTable::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

const TensorView& TensorTable::at(const std::string& name, const std::string& where) const {
  if (const TensorView* found = find(name)) return *found;
  constexpr std::size_t kShown = 12;
  std::vector<std::string> names;
  for (const TensorView& view : tensors_) {
    if (names.size() < kShown) names.push_back(printable(view.name));
  }
  reject("{}: wanted a tensor '{}', found {}{}", where, printable(name),
         names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")),
         tensors_.size() > names.size() ? ", ..." : "");
}

}  // namespace diffit::io
