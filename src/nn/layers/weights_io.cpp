#include "nn/layers/weights_io.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <map>

#include "base/error.h"
#include "base/printable.h"
#include "io/tensors/finite.h"
#include "runtime/parallel.h"

namespace diffit::nn {

at::ScalarType scalar_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::f64:
      return at::kDouble;
    case Dtype::f32:
      return at::kFloat;
    case Dtype::f16:
      return at::kHalf;
    case Dtype::bf16:
      return at::kBFloat16;
    case Dtype::i64:
      return at::kLong;
    case Dtype::i32:
      return at::kInt;
    case Dtype::i16:
      return at::kShort;
    case Dtype::i8:
      return at::kChar;
    case Dtype::u64:
      return at::kUInt64;
    case Dtype::u32:
      return at::kUInt32;
    case Dtype::u16:
      return at::kUInt16;
    case Dtype::u8:
      return at::kByte;
    case Dtype::boolean:
      return at::kBool;
  }
  fail("unknown element type");
}

Dtype dtype_of(at::ScalarType type) {
  for (const Dtype dtype :
       {Dtype::f64, Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i64, Dtype::i32, Dtype::i16, Dtype::i8,
        Dtype::u64, Dtype::u32, Dtype::u16, Dtype::u8, Dtype::boolean}) {
    if (scalar_type(dtype) == type) return dtype;
  }
  fail("tensors of dtype {} cannot be stored in a file", at::toString(type));
}

at::Tensor to_tensor(const TensorView& view) {
  at::Tensor tensor = at::empty(view.shape, scalar_type(view.dtype));
  if (!view.bytes.empty()) std::memcpy(tensor.mutable_data_ptr(), view.bytes.data(), view.bytes.size());
  return tensor;
}

TensorView view_of(std::string name, const at::Tensor& tensor) {
  return {std::move(name),
          dtype_of(tensor.scalar_type()),
          tensor.sizes().vec(),
          {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}};
}

namespace {

/// Collects problems, so that one error lists all of them; long lists are cut off.
class ProblemList {
 public:
  template <class... A>
  void add(fmt::format_string<A...> format, A&&... args) {
    if (++count_ <= kShown)
      text_ += (text_.empty() ? "" : "; ") + fmt::format(format, std::forward<A>(args)...);
  }
  void reject_if_any(const std::string& where) const {
    if (count_ == 0) return;
    const std::string more = count_ > kShown ? fmt::format("; and {} more", count_ - kShown) : "";
    reject("{}: the tensors do not fit the model: {}{}", where, text_, more);
  }

 private:
  static constexpr int kShown = 12;
  int count_ = 0;
  std::string text_;
};

/// Returns a tensor that shares the bytes of the file, or a copy if they are not aligned.
at::Tensor borrow(const TensorView& view) {
  const auto address = reinterpret_cast<std::uintptr_t>(view.bytes.data());
  if (view.bytes.empty() || address % element_size(view.dtype) != 0) return to_tensor(view);
  return at::from_blob(const_cast<std::byte*>(view.bytes.data()), view.shape, scalar_type(view.dtype));
}

bool holds_index(const TensorView& view, const at::Tensor& index) {
  if (view.dtype == Dtype::i64 && index.is_cpu())
    return std::memcmp(view.bytes.data(), index.const_data_ptr(), view.bytes.size()) == 0;
  return at::equal(borrow(view).to(at::kLong), index.to(at::kCPU));
}

bool all_finite(const TensorView& view) {
  const auto count = static_cast<std::int64_t>(view.bytes.size());
  constexpr std::int64_t kGrain = 1 << 20;  // in bytes; a multiple of every element size
  std::atomic<bool> finite = true;
  runtime::parallel_for((count + kGrain - 1) / kGrain, 1, [&](std::int64_t begin, std::int64_t end) {
    const auto first = static_cast<std::size_t>(begin * kGrain);
    const auto last = static_cast<std::size_t>(std::min(end * kGrain, count));
    if (!all_finite(view.dtype, view.bytes.subspan(first, last - first))) finite = false;
  });
  return finite;
}

using Match = std::pair<const Parameter*, const TensorView*>;

constexpr const char* kAddNullRow =
    "the model was trained without label dropout and cannot be guided; diffit convert --null-row adds a row "
    "for it";

/// Whether a label table has no row for the null label: classes rows instead of classes + 1.
bool lacks_null_row(const TensorView& view, const Parameter& p) {
  return p.name.ends_with("embedding_table.weight") && p.tensor.dim() == 2 && view.shape.size() == 2 &&
         view.shape[0] == p.tensor.size(0) - 1 && view.shape[1] == p.tensor.size(1);
}

/// Reports the prefix under which the file has the tensors that the model needs, if there is one.
void report_prefix(const ParameterList& parameters, const std::map<std::string, const TensorView*>& unclaimed,
                   ProblemList& problems) {
  if (unclaimed.empty() || parameters.items().empty()) return;
  const std::string& first = parameters.items().front().name;
  if (unclaimed.contains(first)) return;
  for (const auto& [name, view] : unclaimed) {
    if (!name.ends_with("." + first)) continue;
    const std::string prefix = name.substr(0, name.size() - first.size());
    problems.add("names begin with '{}', but those of the model do not: save the tensors without this prefix",
                 printable(prefix));
    return;
  }
}

/// Pairs each parameter with its tensor in the file. Reports everything that does not match.
std::vector<Match> match(const ParameterList& parameters, std::span<const TensorView> tensors,
                         const std::string& prefix, ProblemList& problems) {
  std::map<std::string, const TensorView*> unclaimed;
  for (const TensorView& view : tensors) {
    if (view.name.starts_with(prefix)) unclaimed[view.name.substr(prefix.size())] = &view;
  }
  report_prefix(parameters, unclaimed, problems);
  std::vector<Match> matches;
  for (const Parameter& p : parameters) {
    const auto found = unclaimed.find(p.name);
    const bool is_index = p.initializer == Initializer::buffer;
    if (found == unclaimed.end()) {
      // An index is a function of the window, so a file may omit it.
      if (!is_index) problems.add("missing {}{}", prefix, p.name);
      continue;
    }
    const TensorView& view = *found->second;
    unclaimed.erase(found);
    const at::ScalarType type = scalar_type(view.dtype);
    if (lacks_null_row(view, p)) {
      problems.add(
          "{}: {} rows are a table of {} classes without a row for the null label, wanted {} rows; {}",
          view.name, view.shape[0], view.shape[0], p.tensor.size(0), kAddNullRow);
      continue;
    }
    if (at::IntArrayRef(view.shape) != p.tensor.sizes()) {
      problems.add("{}: wanted shape [{}], got [{}]", view.name, fmt::join(p.tensor.sizes(), ", "),
                   fmt::join(view.shape, ", "));
    } else if (is_index ? !at::isIntegralType(type, false) : !at::isFloatingType(type)) {
      problems.add("{}: wanted {}, got {}", view.name, is_index ? "integers" : "floating point",
                   safetensors_name(view.dtype));
    } else {
      matches.emplace_back(&p, &view);
    }
  }
  for (const auto& [name, view] : unclaimed) problems.add("unexpected {}", printable(view->name));
  return matches;
}

}  // namespace

void check_parameters(const ParameterList& parameters, std::span<const TensorView> tensors,
                      const std::string& prefix, const std::string& where) {
  ProblemList problems;
  match(parameters, tensors, prefix, problems);
  problems.reject_if_any(where);
}

void load_parameters(const ParameterList& parameters, std::span<const TensorView> tensors,
                     const std::string& prefix, const std::string& where,
                     const std::function<void(const TensorView&)>& done_with) {
  const at::NoGradGuard no_grad;
  ProblemList problems;
  for (const auto& [p, view] : match(parameters, tensors, prefix, problems)) {
    if (p->initializer == Initializer::buffer) {
      if (!holds_index(*view, p->tensor)) problems.add("{}: not the index of this window", view->name);
    } else if (!all_finite(*view)) {
      problems.add("{}: holds NaN or infinity", view->name);
    } else if (p->consume) {
      p->consume(borrow(*view));
    } else {
      p->tensor.copy_(borrow(*view));
    }
    if (done_with) done_with(*view);
  }
  problems.reject_if_any(where);
}

std::vector<std::pair<std::string, at::Tensor>> named_tensors(const ParameterList& parameters,
                                                              const std::string& prefix) {
  std::vector<std::pair<std::string, at::Tensor>> named;
  for (const Parameter& p : parameters) {
    named.emplace_back(prefix + p.name, p.tensor.detach().to(at::kCPU).contiguous());
  }
  return named;
}

namespace {

/// Throws Error(invalid) if the file has the tensor under a prefix.
void reject_prefix(std::span<const TensorView> tensors, const std::string& name, const std::string& where) {
  for (const TensorView& view : tensors) {
    if (!view.name.ends_with("." + name)) continue;
    reject(
        "{}: names begin with '{}', wanted {}, got {}: save the tensors of one network, without the prefix",
        where, printable(view.name.substr(0, view.name.size() - name.size())), name, printable(view.name));
  }
}

}  // namespace

ModelConfig infer_config(std::span<const TensorView> tensors, const std::string& where) {
  std::map<std::string, const std::vector<std::int64_t>*> shape;
  for (const TensorView& view : tensors) shape[view.name] = &view.shape;
  const auto axis = [&](const std::string& name, std::size_t rank, std::size_t i) {
    const auto found = shape.find(name);
    if (found == shape.end()) reject_prefix(tensors, name, where);
    DIFFIT_CHECK(
        found != shape.end() && found->second->size() == rank,
        "{}: no \"diffit.config\" in its metadata, and no {} of {} axes to infer one from (wanted a model "
        "that diffit wrote, or the released weights of a latent model)",
        where, name, rank);
    return (*found->second)[i];
  };
  LatentConfig c;
  c.hidden = axis("x_embedder.proj.weight", 4, 0);
  c.in_channels = axis("x_embedder.proj.weight", 4, 1);
  c.patch = axis("x_embedder.proj.weight", 4, 2);
  const std::int64_t tokens = axis("pos_embed", 3, 1);
  const auto grid = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(tokens))));
  DIFFIT_CHECK(grid > 0 && grid * grid == tokens, "{}: pos_embed has {} tokens, wanted a square number",
               where, tokens);
  DIFFIT_CHECK(c.patch > 0 && c.patch <= 64 && grid <= 4096, "{}: patches of side {} are not supported",
               where, c.patch);
  c.input_size = grid * c.patch;
  c.classes = axis("y_embedder.embedding_table.weight", 2, 0) - 1;
  // A model of 1000 classes without the null label is far more likely than one of 999 classes.
  DIFFIT_CHECK(
      c.classes != 999,
      "{}: y_embedder.embedding_table.weight: 1000 rows are a table of 1000 classes without a row for the "
      "null label; {}",
      where, kAddNullRow);
  c.depth = 0;
  while (shape.contains(fmt::format("blocks.{}.attn.qkv.weight", c.depth))) ++c.depth;
  c.heads = axis("blocks.0.attn.relative_position_bias_table", 2, 1);
  c.mlp_ratio = static_cast<double>(axis("blocks.0.mlp.fc1.weight", 2, 0)) / static_cast<double>(c.hidden);
  // Reading the configuration back checks the ranges of its fields.
  return read_model_config(write_model_config(c), where + " (inferred)");
}

}  // namespace diffit::nn
