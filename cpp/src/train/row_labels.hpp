// Integer labels and groups of rows, read from a tensor.
#pragma once

#include "chainrule/data_splits.hpp"

namespace chainrule::data {

// One integer per row; what: "stratify" or "groups", for the error.
std::vector<std::int64_t> row_labels(const Tensor& values, std::int64_t n, const char* op, const std::string& what);

}  // namespace chainrule::data
