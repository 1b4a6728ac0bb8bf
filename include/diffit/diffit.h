// The public interface of the library.
#pragma once

#include "diffit/error.h"
#include "diffit/evaluate.h"
#include "diffit/image.h"
#include "diffit/monitor.h"
#include "diffit/runtime.h"
#include "diffit/sample.h"
#include "diffit/train.h"
