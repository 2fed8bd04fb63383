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
  std::string saves;       // what the derivative reads of a call: "x", "y", "a, b", "" for nothing
  std::string rule;        // the cotangents of the inputs as array expressions; "" where there is no short one
  std::string symbol;      // "+"; "": written as a call
  std::string flops;       // of one call: "12 per element"
  bool internal = false;   // no public name
  bool pure = true, elementwise = false, broadcasts = false;
  std::vector<DType> dtypes;  // with a kernel; none: no kernel is needed
};

CHAINRULE_API std::vector<OpFacts> op_table();

}  // namespace chainrule
