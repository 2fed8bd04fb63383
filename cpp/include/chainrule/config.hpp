// What this build is and what it runs on; the number of threads.
#pragma once

#include <string>

#include "chainrule/export.hpp"

namespace chainrule {

CHAINRULE_API std::string config();     // version, ISA level and why, bf16, threads, Eigen, build type: a line each
CHAINRULE_API void show_config();       // prints config() to standard output
CHAINRULE_API std::string isa_level();  // "v2", "v3", "v4", "native", "default"
CHAINRULE_API bool has_bf16();          // whether a Trainer's precision="bf16" can run here
CHAINRULE_API int num_threads();
CHAINRULE_API void set_num_threads(int threads);  // at least 1

}  // namespace chainrule
