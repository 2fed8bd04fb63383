// Profile: where the time of a compiled program goes, measured by running it.
#pragma once

#include <string>
#include <vector>

#include "chainrule/config.hpp"

namespace chainrule {

// Instructions that run together: an op and the elementwise chain behind it.
struct ProfileRow {
  std::string ops;              // "matmul add relu"
  std::string scope;            // the layer's path in the model, where the first op belongs to one
  double microseconds = 0;      // per run, median
  double flops = 0, bytes = 0;  // arithmetic, and memory read and written if nothing stayed in registers
  double limit = 0;             // microseconds that the machine would need: the longer of arithmetic and memory
  bool shared = false;          // among the threads of a team; the others run on one
};

struct CHAINRULE_API Profile {
  std::vector<ProfileRow> rows;  // in the order of their running
  int runs = 0, threads = 1;
  double microseconds = 0;  // the rows together; loading a batch is no part of it
  double peak = 0;          // multiply-adds of float32 on one core, GFLOP/s, measured on the spot
  double bandwidth = 0;     // of a copy within the second-level cache, one core, bytes read and written, GB/s
  std::string str() const;  // a table
};

}  // namespace chainrule
