#include "kernels/cpu/info.h"

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/info.cpp"
#include <hwy/foreach_target.h>
// After foreach_target, so that each instruction set has its own.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace diffit::kernels::cpu::HWY_NAMESPACE {

inline const char* this_target_name() {
  return hwy::TargetName(HWY_TARGET);
}

}  // namespace diffit::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diffit::kernels::cpu {

HWY_EXPORT(this_target_name);

const char* target_name() {
  return HWY_DYNAMIC_DISPATCH(this_target_name)();
}

bool has_vector_target() {
  static const bool has = (hwy::SupportedTargets() & (HWY_AVX2 | HWY_AVX3)) != 0;
  return has;
}

}  // namespace diffit::kernels::cpu
#endif
