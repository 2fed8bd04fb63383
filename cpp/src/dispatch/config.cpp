// show_config: what this build is and what it runs on.
#include "chainrule/config.hpp"

#include <cstdio>

#include "chainrule/version.hpp"
#include "dispatch/amx.hpp"
#include "dispatch/dispatch.hpp"

#ifndef CHAINRULE_EIGEN_VERSION
#define CHAINRULE_EIGEN_VERSION "unknown"
#endif
#ifndef CHAINRULE_BUILD_TYPE
#define CHAINRULE_BUILD_TYPE "unknown"
#endif

namespace chainrule {

std::string isa_level() { return std::string(dispatch::level()); }
bool has_bf16() { return dispatch::why_no_amx().empty(); }

std::string config() {
  const std::string version = std::to_string(CHAINRULE_VERSION_MAJOR) + "." + std::to_string(CHAINRULE_VERSION_MINOR) +
                              "." + std::to_string(CHAINRULE_VERSION_PATCH);
  return "chainrule   " + version + "\nISA level   " + isa_level() + " (" + dispatch::level_reason() +
         ")\nbf16        " + (has_bf16() ? "yes, on AMX" : "no: " + dispatch::why_no_amx()) + "\nthreads     " +
         std::to_string(num_threads()) +
         "\nEigen       " CHAINRULE_EIGEN_VERSION "\nbuild type  " CHAINRULE_BUILD_TYPE "\ncompiler    " __VERSION__
         "\n";
}

void show_config() { std::fputs(config().c_str(), stdout); }

}  // namespace chainrule
