// The precompiled header of every layer that sees a tensor. <ATen/ATen.h> costs 11 s a file without it.
// Headers of torch/csrc do not belong here: GCC instantiates the templates that they use again in every file,
// 2 s each time.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>
