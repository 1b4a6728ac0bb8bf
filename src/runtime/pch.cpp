#include "runtime/pch.h"
