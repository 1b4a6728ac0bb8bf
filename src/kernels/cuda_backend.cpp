#include "kernels/cuda_backend.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <atomic>
#include <limits>

#include "base/error.h"
#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "runtime/pch.h"

namespace diffit::kernels {
namespace {

using at::Tensor;

std::atomic<const cuda::Functions*> opened = nullptr;
std::atomic<bool> emulated = false;

const cuda::Functions& functions() {
  return *opened;
}

bool takes(const Tensor& x) {
  return fast_kernels() && (x.is_cuda() || emulates_cuda()) &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

bool fits_int(std::int64_t value) {
  return value <= std::numeric_limits<std::int32_t>::max();
}
std::int32_t to_int(std::int64_t value) {
  return static_cast<std::int32_t>(value);
}

Tensor floats(std::size_t count, const Tensor& like) {
  return at::empty({static_cast<std::int64_t>(count)}, like.options().dtype(at::kFloat));
}
float* pointer(const Tensor& x) {
  return x.numel() == 0 ? nullptr : x.mutable_data_ptr<float>();
}

cuda::Attention attention_shape(const Tensor& qkv, std::int64_t heads, std::int64_t window) {
  return {to_int(qkv.size(0)),
          to_int(qkv.size(1)),
          to_int(qkv.size(2)),
          to_int(heads),
          to_int(qkv.size(3) / 3 / heads),
          to_int(window)};
}

/// bfloat16 alone: in float32 the definition's products are exact to float32, which these kernels' are not.
bool takes_attention(const Tensor& qkv, std::int64_t heads, std::int64_t window) {
  return takes(qkv) && qkv.scalar_type() == at::kBFloat16 && fits_int(qkv.size(0)) && fits_int(qkv.size(3)) &&
         functions().takes_attention(attention_shape(qkv, heads, window));
}

Tensor attention_forward(const Tensor& qkv, const Tensor& qkv_t, const Tensor& table, std::int64_t heads,
                         std::int64_t window, Saved* saved) {
  const c10::DeviceGuard guard(qkv.device());
  const cuda::Attention shape = attention_shape(qkv, heads, window);
  const Tensor map = aligned(qkv), time = aligned(qkv_t);
  Tensor out = at::empty({qkv.size(0), qkv.size(1), qkv.size(2), qkv.size(3) / 3}, qkv.options());
  const Tensor statistics = floats(functions().attention_statistics(shape), qkv);
  const Tensor workspace = floats(functions().attention_workspace(shape, false) / sizeof(float), qkv);
  cuda::AttentionBuffers buffers{};
  buffers.qkv = map.const_data_ptr();
  buffers.qkv_t = time.const_data_ptr();
  buffers.table = table.const_data_ptr<float>();
  buffers.out = out.mutable_data_ptr();
  buffers.statistics = pointer(statistics);
  buffers.workspace = pointer(workspace);
  check_cuda(functions().attention_forward(shape, buffers, cuda_stream(qkv)), "tmsa_attention");
  if (saved != nullptr && functions().attention_keeps_output(shape)) *saved = {out, statistics};
  return out;
}

std::array<Tensor, 3> attention_backward(const Tensor& qkv, const Tensor& qkv_t, const Tensor& table,
                                         std::int64_t heads, std::int64_t window, const Saved& saved,
                                         const Tensor& d_out) {
  const c10::DeviceGuard guard(qkv.device());
  const cuda::Attention shape = attention_shape(qkv, heads, window);
  const Tensor map = aligned(qkv), time = aligned(qkv_t), gradient = aligned(d_out);
  const Tensor d_qkv = at::empty_like(qkv), d_table = at::empty_like(table),
               d_qkv_t = at::empty_like(qkv_t, qkv_t.options().dtype(at::kFloat));
  const Tensor workspace = floats(functions().attention_workspace(shape, true) / sizeof(float), qkv);
  cuda::AttentionBuffers buffers{};
  buffers.qkv = map.const_data_ptr();
  buffers.qkv_t = time.const_data_ptr();
  buffers.table = table.const_data_ptr<float>();
  if (!saved.empty()) {
    buffers.out = saved[0].data_ptr();
    buffers.statistics = saved[1].data_ptr<float>();
  }
  buffers.workspace = pointer(workspace);
  buffers.d_out = gradient.const_data_ptr();
  buffers.d_qkv = d_qkv.mutable_data_ptr();
  buffers.d_qkv_t = d_qkv_t.mutable_data_ptr<float>();
  buffers.d_table = d_table.mutable_data_ptr<float>();
  check_cuda(functions().attention_backward(shape, buffers, cuda_stream(qkv)), "tmsa_attention's gradient");
  return {d_qkv, d_qkv_t.to(qkv_t.scalar_type()), d_table};
}

cuda::LayerNorm layer_norm_shape(const Tensor& x, double eps) {
  return {x.numel() / x.size(-1), to_int(x.size(-1)), cuda_element(x.scalar_type()), static_cast<float>(eps)};
}

bool takes_layer_norm(const Tensor& x) {
  return takes(x) && fits_int(x.size(-1)) && functions().takes_layer_norm(layer_norm_shape(x, 0));
}

Tensor layer_norm_forward(const Tensor& x, double eps, Saved* saved) {
  const c10::DeviceGuard guard(x.device());
  const cuda::LayerNorm shape = layer_norm_shape(x, eps);
  const Tensor rows = aligned(x), y = at::empty_like(x);
  Tensor statistics;
  if (saved != nullptr) {
    statistics = floats(2 * static_cast<std::size_t>(shape.rows), x);
    *saved = {statistics};
  }
  check_cuda(functions().layer_norm_forward(shape, rows.const_data_ptr(), y.mutable_data_ptr(),
                                            saved == nullptr ? nullptr : statistics.mutable_data_ptr<float>(),
                                            cuda_stream(x)),
             "layer_norm");
  return y;
}

Tensor layer_norm_backward(const Tensor& x, double eps, const Saved& saved, const Tensor& d_y) {
  const c10::DeviceGuard guard(x.device());
  const Tensor rows = aligned(x), gradient = aligned(d_y), d_x = at::empty_like(x);
  check_cuda(functions().layer_norm_backward(layer_norm_shape(x, eps), rows.const_data_ptr(),
                                             saved[0].const_data_ptr<float>(), gradient.const_data_ptr(),
                                             d_x.mutable_data_ptr(), cuda_stream(x)),
             "layer_norm's gradient");
  return d_x;
}

Tensor add_layer_norm(Tensor& stream, const Tensor& added, double eps) {
  if (!is_aligned(stream.const_data_ptr())) return definition::add_layer_norm(stream, added, eps);
  const c10::DeviceGuard guard(added.device());
  const Tensor rows = aligned(added), y = at::empty_like(added);
  check_cuda(functions().add_layer_norm(layer_norm_shape(added, eps), stream.mutable_data_ptr<float>(),
                                        rows.const_data_ptr(), y.mutable_data_ptr(), cuda_stream(added)),
             "add_layer_norm");
  return y;
}

cuda::GroupNorm group_norm_shape(const Tensor& x, std::int64_t groups, double eps, bool silu) {
  const std::int64_t batch = x.size(0), channels = x.size(-1);
  return {to_int(batch), to_int(x.numel() / (batch * channels)), to_int(channels),       to_int(groups),
          silu,          cuda_element(x.scalar_type()),          static_cast<float>(eps)};
}

bool takes_group_norm(const Tensor& x, std::int64_t groups) {
  return takes(x) && fits_int(x.size(0)) && fits_int(x.size(-1)) &&
         fits_int(x.numel() / (x.size(0) * x.size(-1))) && fits_int(groups) &&
         functions().takes_group_norm(group_norm_shape(x, groups, 0, false));
}

cuda::GroupNormBuffers group_norm_buffers(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                          const Tensor& workspace) {
  cuda::GroupNormBuffers buffers{};
  buffers.x = x.const_data_ptr();
  buffers.weight = weight.const_data_ptr<float>();
  buffers.bias = bias.const_data_ptr<float>();
  buffers.workspace = pointer(workspace);
  return buffers;
}

Tensor group_norm_forward(const Tensor& x, std::int64_t groups, const Tensor& weight, const Tensor& bias,
                          double eps, bool silu, Saved* saved) {
  const c10::DeviceGuard guard(x.device());
  const cuda::GroupNorm shape = group_norm_shape(x, groups, eps, silu);
  const Tensor map = aligned(x), scale = aligned(weight), shift = aligned(bias), y = at::empty_like(x);
  const Tensor mean = at::empty({x.size(0), groups}, x.options().dtype(at::kFloat)),
               inverse = at::empty_like(mean);
  const Tensor workspace = floats(functions().group_norm_workspace(shape), x);
  cuda::GroupNormBuffers buffers = group_norm_buffers(map, scale, shift, workspace);
  buffers.y = y.mutable_data_ptr();
  buffers.mean = mean.mutable_data_ptr<float>();
  buffers.inverse_deviation = inverse.mutable_data_ptr<float>();
  check_cuda(functions().group_norm_forward(shape, buffers, cuda_stream(x)), "group_norm");
  if (saved != nullptr) *saved = {mean, inverse};
  return y;
}

std::array<Tensor, 3> group_norm_backward(const Tensor& x, std::int64_t groups, const Tensor& weight,
                                          const Tensor& bias, double eps, bool silu, const Saved& saved,
                                          const Tensor& d_y) {
  const c10::DeviceGuard guard(x.device());
  const cuda::GroupNorm shape = group_norm_shape(x, groups, eps, silu);
  const Tensor map = aligned(x), scale = aligned(weight), shift = aligned(bias), gradient = aligned(d_y);
  const Tensor d_x = at::empty_like(x), d_weight = at::empty_like(weight), d_bias = at::empty_like(bias);
  const Tensor workspace = floats(functions().group_norm_workspace(shape), x);
  cuda::GroupNormBuffers buffers = group_norm_buffers(map, scale, shift, workspace);
  buffers.mean = saved[0].data_ptr<float>();
  buffers.inverse_deviation = saved[1].data_ptr<float>();
  buffers.d_y = gradient.const_data_ptr();
  buffers.d_x = d_x.mutable_data_ptr();
  buffers.d_weight = d_weight.mutable_data_ptr<float>();
  buffers.d_bias = d_bias.mutable_data_ptr<float>();
  check_cuda(functions().group_norm_backward(shape, buffers, cuda_stream(x)), "group_norm's gradient");
  return {d_x, d_weight, d_bias};
}

/// LibTorch's own are one kernel each.
bool takes_pointwise(const Tensor&) {
  return false;
}

constexpr Backend kBackend{{&takes_attention, &attention_forward, &attention_backward},
                           {&takes_layer_norm, &layer_norm_forward, &layer_norm_backward, &add_layer_norm},
                           {&takes_group_norm, &group_norm_forward, &group_norm_backward},
                           {&takes_pointwise, nullptr, nullptr, nullptr, nullptr}};

}  // namespace

namespace {

/// Opens libdiffit_cuda.so at the first call, which comes after LibTorch's CUDA backend has been opened.
void open_library() {
  static const bool tried = [] {
    void* const library = dlopen("libdiffit_cuda.so", RTLD_NOW | RTLD_LOCAL);
    void* const symbol = library == nullptr ? nullptr : dlsym(library, cuda::kFunctionsSymbol);
    if (symbol != nullptr) opened = reinterpret_cast<cuda::GetFunctions>(symbol)(cuda::kFunctionsVersion);
    return true;
  }();
  static_cast<void>(tried);
}

}  // namespace

bool has_cuda_kernels() {
  return cuda_backend() != nullptr;
}

const Backend* cuda_backend() {
  if (!emulates_cuda()) open_library();
  return opened == nullptr ? nullptr : &kBackend;
}

const cuda::Functions* cuda_functions() {
  return cuda_backend() == nullptr ? nullptr : opened.load();
}

cuda::Stream cuda_stream(const Tensor& x) {
  if (x.is_cpu()) return nullptr;  // the emulator
  return c10::impl::VirtualGuardImpl(x.device().type()).getStream(x.device()).native_handle();
}

cuda::Element cuda_element(at::ScalarType type) {
  return type == at::kFloat ? cuda::Element::float32 : cuda::Element::bfloat16;
}

bool is_aligned(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0;
}

Tensor aligned(const Tensor& x) {
  return is_aligned(x.const_data_ptr()) ? x : x.clone();
}

void check_cuda(cuda::Status status, const char* operation) {
  if (status != nullptr) fail("{}: the CUDA kernel failed: {}", operation, status);
}

EmulatedCuda::EmulatedCuda(const cuda::Functions& functions) {
  opened = &functions;
  emulated = true;
}
EmulatedCuda::~EmulatedCuda() {
  emulated = false;
  opened = nullptr;
}

bool emulates_cuda() {
  return emulated;
}

}  // namespace diffit::kernels
