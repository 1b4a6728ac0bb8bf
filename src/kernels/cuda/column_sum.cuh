// Sums of columns: chosen, launched, and their workspace laid out.
#pragma once

#include "kernels/cuda/functions.h"

namespace diffit::kernels::cuda {

bool takes_column_sum(const ColumnSum& shape);
std::size_t column_sum_workspace(const ColumnSum& shape);
Status column_sum(const ColumnSum& shape, const void* x, float* out, float* workspace, Stream stream);

}  // namespace diffit::kernels::cuda
