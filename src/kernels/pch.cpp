#include "kernels/pch.h"
