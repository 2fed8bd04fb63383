// Finds out whether AMX can be used, by cpuid and by asking Linux. (Intel 64 manual, volume 1, chapter 18; Linux,
// Documentation/arch/x86/xstate.rst: dynamically enabled features.)
#include "dispatch/amx.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "dispatch/dispatch.hpp"

#if CHAINRULE_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
extern "C" __attribute__((visibility("hidden")))
const chainrule::kernels::KernelEntry CHAINRULE_KERNEL_TABLE_NAME(matmul_bf16, isa_amx)[];
#endif

namespace chainrule::dispatch {

#if CHAINRULE_AMX
namespace {

constexpr int tile_data = 18;  // the tile registers among the processor's state components; 17: their configuration
constexpr int get_supported_components = 0x1021, request_component = 0x1023;  // of arch_prctl

// Whether bit `bit` of register `which` (eax, ebx, ecx, edx) of a cpuid leaf is set.
bool cpuid_bit(unsigned leaf, unsigned subleaf, int which, int bit) {
  unsigned registers[4] = {};
  return __get_cpuid_count(leaf, subleaf, &registers[0], &registers[1], &registers[2], &registers[3]) != 0 &&
         ((registers[which] >> bit) & 1u) != 0;
}

bool processor_has_amx() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && cpuid_bit(7, 1, 0, 5) &&
         cpuid_bit(7, 0, 3, 22) && cpuid_bit(7, 0, 3, 24);  // AVX512_BF16, AMX-BF16, AMX-TILE
}

bool system_knows_amx() {
  std::uint64_t components = 0;
  return syscall(SYS_arch_prctl, get_supported_components, &components) == 0 && ((components >> tile_data) & 1u) != 0;
}

}  // namespace

const std::string& why_no_amx() {
  static const std::string reason = [] {
    if (!processor_has_amx()) return std::string("this processor has no AMX");
    if (level() != "v4" && level() != "native") return "CHAINRULE_ISA=" + std::string(level()) + " leaves AMX out";
    if (!system_knows_amx()) return std::string("the system does not offer AMX (Linux 5.16 or newer does)");
    return std::string();
  }();
  return reason;
}

const std::string& ask_for_amx() {
  static const std::string reason = [] {
    if (!why_no_amx().empty()) return why_no_amx();
    if (syscall(SYS_arch_prctl, request_component, tile_data) == 0) return std::string();
    if (errno == ENOSPC)
      return std::string("the system refused AMX: a thread's alternate signal stack (sigaltstack) is too small for it");
    return "the system refused AMX: " + std::string(std::strerror(errno));
  }();
  return reason;
}

const kernels::KernelEntry* amx_kernels() noexcept { return CHAINRULE_KERNEL_TABLE_NAME(matmul_bf16, isa_amx); }

#else

const std::string& why_no_amx() {
  static const std::string reason = "this build has no kernels for AMX";
  return reason;
}
const std::string& ask_for_amx() { return why_no_amx(); }
const kernels::KernelEntry* amx_kernels() noexcept { return nullptr; }

#endif

}  // namespace chainrule::dispatch
