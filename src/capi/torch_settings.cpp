#include "capi/torch_settings.h"

#include <ATen/Parallel.h>

namespace diffit::capi {

namespace {

using at::Float32Backend;
using at::Float32Op;

/// Not set if LibTorch refuses to tell, as it does where a program uses its newer settings of precision too.
std::optional<at::Float32MatmulPrecision> older_matmul_precision() {
  try {
    return at::globalContext().float32MatmulPrecision();
  } catch (const std::exception&) {
    return {};
  }
}

}  // namespace

TorchSettings::TorchSettings() : threads_(at::get_num_threads()) {
  const at::Context& context = at::globalContext();
  deterministic_ = context.deterministicAlgorithms();
  warn_only_ = context.deterministicAlgorithmsWarnOnly();
  fill_ = context.deterministicFillUninitializedMemory();
  deterministic_cudnn_ = context.deterministicCuDNN();
  benchmark_cudnn_ = context.benchmarkCuDNN();
  matmul_ = context.float32Precision(Float32Backend::CUDA, Float32Op::MATMUL);
  conv_ = context.float32Precision(Float32Backend::CUDA, Float32Op::CONV);
  rnn_ = context.float32Precision(Float32Backend::CUDA, Float32Op::RNN);
  older_matmul_ = older_matmul_precision();
}

TorchSettings::~TorchSettings() {
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(deterministic_, warn_only_);
  context.setDeterministicFillUninitializedMemory(fill_);
  context.setDeterministicCuDNN(deterministic_cudnn_);
  context.setBenchmarkCuDNN(benchmark_cudnn_);
  if (older_matmul_ && older_matmul_ != older_matmul_precision()) {
    constexpr const char* kNames[] = {"highest", "high", "medium"};
    context.setFloat32MatmulPrecision(kNames[static_cast<std::size_t>(*older_matmul_)]);
  }
  const auto restore = [&](Float32Op op, at::Float32Precision precision) {
    if (context.float32Precision(Float32Backend::CUDA, op) != precision)
      context.setFloat32Precision(Float32Backend::CUDA, op, precision);
  };
  restore(Float32Op::MATMUL, matmul_);
  restore(Float32Op::CONV, conv_);
  restore(Float32Op::RNN, rnn_);
  if (threads_ != at::get_num_threads()) at::set_num_threads(threads_);
}

}  // namespace diffit::capi
