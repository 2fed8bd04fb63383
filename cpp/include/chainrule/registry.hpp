// The table of ops, as facts to read: for documentation, tests and tools. Running an op is not done here but by its
// function.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "chainrule/dtype.hpp"
#include "chainrule/export.hpp"

namespace chainrule {

struct OpFacts {
  std::string name, doc;
  int version = 1;
  int min_inputs = 1, max_inputs = 1, outputs = 1;
  std::vector<std::pair<std::string, std::string>> attributes;  // (name, kind: list, real, integer, flag, dtype)
  std::string derivative;  // none, zero, elementwise, linear, bilinear, symmetric, custom, composite
  std::string batch;       // elementwise, leading, rule, loop
  bool internal = false;   // no public name
  bool pure = true, elementwise = false, broadcasts = false;
  std::vector<DType> dtypes;  // with a kernel; none: no kernel is needed
};

CHAINRULE_API std::vector<OpFacts> op_table();

}  // namespace chainrule
