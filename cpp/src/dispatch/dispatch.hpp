// Which kernels run: one ISA level chosen once at load, capped by CHAINRULE_ISA.
#pragma once

#include <string>
#include <string_view>

#include "chainrule/dtype.hpp"
#include "kernels/abi.hpp"

namespace chainrule::dispatch {

kernels::Kernel find_kernel(std::string_view name, DType key) noexcept;  // null where there is none
std::string_view level() noexcept;                                       // "v2", "v3", "v4", "native", "default"
std::string level_reason();                                              // why this level was chosen

}  // namespace chainrule::dispatch
