// AMX: the kernels that need it, and whether they can run. They are no level of their own: they stand beside v4.
#pragma once

#include <string>

#include "kernels/abi.hpp"

namespace chainrule::dispatch {

// Why the kernels in amx_kernels cannot run here, or empty: what the build, CHAINRULE_ISA, the processor and the
// system's kernel say. Changes nothing.
const std::string& why_no_amx();
// Asks the system to let this process use the tile registers, once; why it does not, or empty. To be called, and to
// succeed, before any of the kernels runs.
const std::string& ask_for_amx();

const kernels::KernelEntry* amx_kernels() noexcept;  // null where they were not compiled

}  // namespace chainrule::dispatch
