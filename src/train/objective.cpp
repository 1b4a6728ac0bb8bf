#include "train/objective.h"

#include <algorithm>

#include "runtime/parallel.h"

namespace diffit::training {

std::unique_ptr<Objective> make_objective(const Recipe& recipe, const TrainingData& data, at::Device device,
                                          at::ScalarType dtype) {
  if (recipe.kind() == ModelKind::latent) {
    return make_latent_objective(recipe, std::get<std::shared_ptr<const LatentDataset>>(data), device, dtype);
  }
  const auto make = recipe.kind() == ModelKind::vae          ? make_vae_objective
                    : recipe.kind() == ModelKind::classifier ? make_classifier_objective
                                                             : make_image_objective;
  return make(recipe, std::get<std::shared_ptr<const Dataset>>(data), device, dtype);
}

at::Tensor Objective::loss() {
  Inputs inputs = next_inputs();
  const at::Device device = parameters().items().front().tensor.device();
  for (at::Tensor& x : inputs) x = x.to(device);
  return loss(inputs);
}

void prepare(const ParameterList& parameters, at::Device device) {
  parameters.to(device);
  for (const Parameter& p : parameters) p.tensor.set_requires_grad(p.trained());
}

void for_each_image(Purpose purpose, std::uint64_t seed, std::int64_t first, std::int64_t count,
                    const std::function<void(std::int64_t i, Random& random)>& draw) {
  runtime::parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      Random random(seed, stream_of(purpose, static_cast<std::uint64_t>(first + i)));
      draw(i, random);
    }
  });
}

void fill_normal(const at::Tensor& numbers, Purpose purpose, std::uint64_t seed, std::int64_t first) {
  float* const values = numbers.mutable_data_ptr<float>();
  const std::int64_t count = numbers.size(0), row = count > 0 ? numbers.numel() / count : 0;
  for_each_image(purpose, seed, first, count, [&](std::int64_t i, Random& random) {
    random.normal({values + i * row, static_cast<std::size_t>(row)});
  });
}

at::Tensor training_labels(const std::vector<std::int64_t>& labels, std::int64_t classes, double dropout,
                           std::uint64_t seed, std::int64_t first) {
  const auto count = static_cast<std::int64_t>(labels.size());
  at::Tensor chosen = at::full({count}, classes, at::kLong);
  if (classes == 0) return chosen;
  std::int64_t* values = chosen.mutable_data_ptr<std::int64_t>();
  for_each_image(Purpose::label_dropout, seed, first, count, [&](std::int64_t i, Random& random) {
    const bool drop = dropout > 0 && random.uniform() < dropout;
    if (!drop) values[i] = labels[static_cast<std::size_t>(i)];
  });
  return chosen;
}

std::int64_t grid_columns(std::int64_t classes) {
  return classes > 1 && classes <= 20 ? classes : 0;
}

std::vector<std::int64_t> shown_images(std::int64_t size, std::int64_t classes, std::int64_t wanted,
                                       const std::function<std::int64_t(std::int64_t)>& label) {
  std::vector<std::int64_t> shown;
  std::int64_t next = 0;
  // Moves `next` to the next image of a class. Without `again`, images already shown are skipped, because in
  // a set sorted by class the search would return the same image again.
  const auto find = [&](std::int64_t wanted_class, bool again) {
    for (std::int64_t tried = 0; tried < size; ++tried) {
      const std::int64_t index = (next + tried) % size;
      if (label(index) != wanted_class) continue;
      if (!again && std::find(shown.begin(), shown.end(), index) != shown.end()) continue;
      next += tried;
      return true;
    }
    return false;
  };
  for (std::int64_t i = 0; i < std::min(wanted, size); ++i) {
    if (classes > 0 && wanted >= classes && !find(i % classes, false)) find(i % classes, true);
    shown.push_back(next++ % size);
  }
  return shown;
}

}  // namespace diffit::training
