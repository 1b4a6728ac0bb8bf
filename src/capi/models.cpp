// The functions of c.h about models.
#include <ATen/DLConvertor.h>

#include <map>
#include <mutex>

#include "base/error.h"
#include "capi/jobs.h"
#include "capi/last_error.h"
#include "capi/torch_settings.h"
#include "config/fields.h"
#include "config/json_text.h"
#include "diffit/model.h"
#include "jobs/model_tensors.h"

struct diffit_model {
  diffit::Model model;
  std::string info;
};

namespace diffit::capi {

namespace {

/// The models that are open. A handle that is not among them is refused and never followed.
class OpenModels {
 public:
  diffit_model* add(std::shared_ptr<diffit_model> model) {
    const std::lock_guard lock(mutex_);
    diffit_model* handle = model.get();
    models_[handle] = std::move(model);
    return handle;
  }
  /// Null if it is not open.
  std::shared_ptr<diffit_model> find(const diffit_model* handle) {
    const std::lock_guard lock(mutex_);
    const auto found = models_.find(handle);
    return found == models_.end() ? nullptr : found->second;
  }
  void remove(const diffit_model* handle) {
    std::shared_ptr<diffit_model> ended;  // released after the lock
    const std::lock_guard lock(mutex_);
    if (const auto found = models_.find(handle); found != models_.end()) {
      ended = std::move(found->second);
      models_.erase(found);
    }
  }

 private:
  std::mutex mutex_;
  std::map<const diffit_model*, std::shared_ptr<diffit_model>> models_;
};

OpenModels& open_models() {
  static auto* models = new OpenModels;  // calls may come while the process ends
  return *models;
}

std::string json_of(const ModelInfo& info) {
  return json_text(Json{{"path", info.path},
                        {"latent", info.latent},
                        {"network", info.network},
                        {"channels", info.channels},
                        {"resolution", info.resolution},
                        {"classes", info.classes},
                        {"class_names", info.class_names},
                        {"prediction", info.prediction},
                        {"schedule", info.schedule},
                        {"learned_variance", info.learned_variance},
                        {"sigma_min", info.sigma_min},
                        {"sigma_max", info.sigma_max},
                        {"parameters", info.parameters},
                        {"config", Json::parse(info.config)},
                        {"device", info.device},
                        {"dtype", info.dtype}});
}

at::Tensor take(DLManagedTensor* given) {
  if (given == nullptr) return {};
  try {
    return at::fromDLPack(given);
  } catch (...) {
    if (given->deleter != nullptr) given->deleter(given);
    throw;
  }
}

/// A tensor of that type, contiguous; its shape is the caller's business.
void check(const at::Tensor& tensor, const char* name, at::ScalarType type, const char* type_name) {
  DIFFIT_CHECK(tensor.defined(), "`{}`: wanted a {} tensor, got none", name, type_name);
  DIFFIT_CHECK(tensor.scalar_type() == type, "`{}`: wanted dtype {}, got {}; convert it first", name,
               type_name, at::toString(tensor.scalar_type()));
  DIFFIT_CHECK(tensor.device().is_cpu() || tensor.device().is_cuda(),
               "`{}`: wanted a tensor on the CPU or a CUDA device, got one on {}; copy it first", name,
               tensor.device().str());
  DIFFIT_CHECK(tensor.is_contiguous(), "`{}`: wanted a contiguous tensor; make a contiguous copy first",
               name);
}

at::Tensor denoised(const Model& model, const at::Tensor& x, const at::Tensor& sigma,
                    const at::Tensor& labels) {
  check(x, "x", at::kFloat, "float32");
  check(sigma, "sigma", at::kFloat, "float32");
  if (labels.defined()) check(labels, "labels", at::kLong, "int64");
  const ModelInfo& info = model.info();
  const std::vector<std::int64_t> wanted{x.dim() > 0 ? x.size(0) : 0, info.channels, info.resolution,
                                         info.resolution};
  DIFFIT_CHECK(x.sizes() == at::IntArrayRef(wanted) && wanted[0] > 0,
               "`x`: wanted the shape [B, {}, {}, {}], got [{}]", wanted[1], wanted[2], wanted[3],
               fmt::join(x.sizes(), ", "));
  for (const auto& [name, tensor] : {std::pair("sigma", sigma), std::pair("labels", labels)}) {
    DIFFIT_CHECK(!tensor.defined() || (tensor.dim() == 1 && tensor.size(0) == wanted[0]),
                 "`{}`: wanted the shape [{}], one for each row of `x`, got [{}]", name, wanted[0],
                 fmt::join(tensor.sizes(), ", "));
  }
  return jobs::denoise(model, x, sigma, labels);
}

}  // namespace

}  // namespace diffit::capi

using namespace diffit::capi;

diffit_status diffit_model_open(const char* path, const char* options, diffit_model** model) {
  if (model != nullptr) *model = nullptr;
  return status_of([&] {
    DIFFIT_CHECK(path != nullptr && model != nullptr,
                 "diffit_model_open: wanted a path and a place for the model");
    const TorchSettings settings;
    auto opened = std::make_shared<diffit_model>();
    opened->model = diffit::open_model(path, read_runtime(options));
    opened->info = json_of(opened->model.info());
    *model = open_models().add(std::move(opened));
  });
}

const char* diffit_model_info(const diffit_model* model) {
  const auto open = open_models().find(model);
  return open == nullptr ? nullptr : open->info.c_str();
}

diffit_status diffit_model_denoise(diffit_model* model, DLManagedTensor* x, DLManagedTensor* sigma,
                                   DLManagedTensor* labels, DLManagedTensor** denoised) {
  return status_of([&] {
    // First of all the tensors are taken, so that each is released whatever fails.
    at::Tensor taken[3];
    std::exception_ptr failed;
    int i = 0;
    for (DLManagedTensor* given : {x, sigma, labels}) {
      try {
        taken[i++] = take(given);
      } catch (...) {
        failed = std::current_exception();
      }
    }
    if (failed) std::rethrow_exception(failed);
    const auto open = open_models().find(model);
    DIFFIT_CHECK(open != nullptr, "the model has been closed; open it again");
    DIFFIT_CHECK(denoised != nullptr, "diffit_model_denoise: wanted a place for the result");
    const TorchSettings settings;
    *denoised = at::toDLPack(diffit::capi::denoised(open->model, taken[0], taken[1], taken[2]));
  });
}

void diffit_model_close(diffit_model* model) {
  open_models().remove(model);
}
