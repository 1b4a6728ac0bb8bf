// The instruction sets that the kernels are compiled for: AVX2, AVX-512, and a portable fallback that only
// keeps Highway complete (where neither is there, the plain definitions run). Include before any hwy header.
#pragma once

#include <hwy/detect_targets.h>

#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
