// Table of the fast paths of a device. Each operation is written once: check the arguments, look up the
// table, record for autograd, call. Without a table, or if it does not support the arguments, the definition
// is used.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "base/layers.h"

namespace diffit::kernels {

/// Values that a forward pass saves for the backward pass, in addition to its arguments.
using Saved = std::vector<at::Tensor>;

/// Arguments have been checked, are contiguous and on the backend's device. A function is called only if its
/// `takes` returned true; `saved` is null if no backward pass follows. Backward functions return the
/// gradients in the order of the arguments.
struct Backend {
  struct {
    bool (*takes)(const at::Tensor& qkv, std::int64_t heads, std::int64_t window);
    /// qkv_t has the type of qkv; table is float32.
    at::Tensor (*forward)(const at::Tensor& qkv, const at::Tensor& qkv_t, const at::Tensor& table,
                          std::int64_t heads, std::int64_t window, Saved* saved);
    std::array<at::Tensor, 3> (*backward)(const at::Tensor& qkv, const at::Tensor& qkv_t,
                                          const at::Tensor& table, std::int64_t heads, std::int64_t window,
                                          const Saved& saved, const at::Tensor& d_out);
  } attention;
  struct {
    bool (*takes)(const at::Tensor& x);
    at::Tensor (*forward)(const at::Tensor& x, double eps, Saved* saved);
    at::Tensor (*backward)(const at::Tensor& x, double eps, const Saved& saved, const at::Tensor& d_y);
    /// stream is float32 and contiguous.
    at::Tensor (*add)(at::Tensor& stream, const at::Tensor& added, double eps);
  } layer_norm;
  struct {
    bool (*takes)(const at::Tensor& x, std::int64_t groups);
    /// weight and bias are float32.
    at::Tensor (*forward)(const at::Tensor& x, std::int64_t groups, const at::Tensor& weight,
                          const at::Tensor& bias, double eps, bool silu, Saved* saved);
    std::array<at::Tensor, 3> (*backward)(const at::Tensor& x, std::int64_t groups, const at::Tensor& weight,
                                          const at::Tensor& bias, double eps, bool silu, const Saved& saved,
                                          const at::Tensor& d_y);
  } group_norm;
  struct {
    bool (*takes)(const at::Tensor& x);
    at::Tensor (*gelu)(const at::Tensor& x);
    at::Tensor (*gelu_backward)(const at::Tensor& x, const at::Tensor& d_y);
    at::Tensor (*upsample2)(const at::Tensor& x);
    at::Tensor (*upsample2_backward)(const at::Tensor& d_y);
  } pointwise;
};

/// Backend of the device of x; null if the definitions must be used.
const Backend* backend_of(const at::Tensor& x);

const Backend& cpu_backend();

}  // namespace diffit::kernels
