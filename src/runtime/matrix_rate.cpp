#include "runtime/matrix_rate.h"

#include "base/stopwatch.h"
#include "runtime/device.h"
#include "runtime/pch.h"

namespace diffit::runtime {

double matrix_product_rate(at::Device device, at::ScalarType dtype, double seconds) {
  const at::NoGradGuard no_grad;
  const std::int64_t side = device.is_cpu() ? 1024 : 8192;
  const at::Tensor a = at::randn({side, side}, at::TensorOptions(device)).to(dtype), b = at::randn_like(a);
  at::Tensor c = at::mm(a, b);
  synchronize(device);
  const auto start = Clock::now();
  int products = 0;
  do {
    for (int i = 0; i < 4; ++i, ++products) at::mm_out(c, a, b);
    synchronize(device);
  } while (seconds_since(start) < seconds);
  const double n = static_cast<double>(side);
  return 2 * n * n * n * products / seconds_since(start);
}

}  // namespace diffit::runtime
