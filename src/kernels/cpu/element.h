// What the kernels in this folder read and write: float32, or bfloat16 as its 16 bits. They compute in
// float32.
#pragma once

#include <cstdint>

#include "base/layers.h"

namespace diffit::kernels::cpu {

enum class Element { float32, bfloat16 };

using bfloat16_bits = std::uint16_t;

/// Calls function with a value of the element's storage type: float or bfloat16_bits.
template <class Function>
void with_element(Element element, const Function& function) {
  if (element == Element::float32) {
    function(float{});
  } else {
    function(bfloat16_bits{});
  }
}

}  // namespace diffit::kernels::cpu
