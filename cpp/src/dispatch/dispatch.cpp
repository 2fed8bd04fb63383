// Chooses the ISA level at load and finds kernels by name in that level's tables.
#include "dispatch/dispatch.hpp"

#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_map>

#include "dispatch/kernel_files.hpp"

#define CHAINRULE_TABLE(file, isa) CHAINRULE_KERNEL_TABLE_NAME(file, isa)
#define CHAINRULE_DECLARE(file, isa) \
  extern "C" __attribute__((visibility("hidden"))) const chainrule::kernels::KernelEntry CHAINRULE_TABLE(file, isa)[];
#define CHAINRULE_LIST(file, isa) CHAINRULE_TABLE(file, isa),

#define CHAINRULE_LEVEL(isa)                                             \
  CHAINRULE_KERNEL_FILES(CHAINRULE_DECLARE, isa)                         \
  static const chainrule::kernels::KernelEntry* const tables_##isa[] = { \
      CHAINRULE_KERNEL_FILES(CHAINRULE_LIST, isa) nullptr};

#if CHAINRULE_LEVEL_V2
CHAINRULE_LEVEL(isa_v2)
#endif
#if CHAINRULE_LEVEL_V3
CHAINRULE_LEVEL(isa_v3)
#endif
#if CHAINRULE_LEVEL_V4
CHAINRULE_LEVEL(isa_v4)
#endif
#if CHAINRULE_LEVEL_NATIVE
CHAINRULE_LEVEL(isa_native)
#endif
#if CHAINRULE_LEVEL_DEFAULT
CHAINRULE_LEVEL(isa_default)
#endif

namespace chainrule::dispatch {
namespace {

struct Level {
  const char* name;
  const kernels::KernelEntry* const* tables;
  bool supported;
};

// From lowest to highest; at least one is compiled in.
std::size_t compiled_levels(Level* out) {
  std::size_t n = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
#if CHAINRULE_LEVEL_DEFAULT
  out[n++] = {"default", tables_isa_default, true};
#endif
#if CHAINRULE_LEVEL_V2
  out[n++] = {"v2", tables_isa_v2, true};
#endif
#if CHAINRULE_LEVEL_V3
  out[n++] = {"v3", tables_isa_v3,
              __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")};
#endif
#if CHAINRULE_LEVEL_V4
  out[n++] = {"v4", tables_isa_v4,
              __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl")};
#endif
#if CHAINRULE_LEVEL_NATIVE
  out[n++] = {"native", tables_isa_native, true};
#endif
  return n;
}

struct Key {
  std::string_view name;
  DType dtype;
  bool operator==(const Key&) const = default;
};
struct KeyHash {
  std::size_t operator()(const Key& key) const noexcept {
    return std::hash<std::string_view>{}(key.name) * 31 + static_cast<std::size_t>(key.dtype);
  }
};

struct Choice {
  std::string name, reason;
  std::unordered_map<Key, kernels::Kernel, KeyHash> kernels;
};

const Choice& choice() {
  static const Choice chosen = [] {
    Level levels[5];
    const std::size_t n = compiled_levels(levels);
    const char* cap = std::getenv("CHAINRULE_ISA");
    std::size_t pick = 0;
    bool cap_known = false;
    for (std::size_t i = 0; i < n; ++i) cap_known |= cap != nullptr && std::strcmp(cap, levels[i].name) == 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (levels[i].supported) pick = i;
      if (cap_known && std::strcmp(cap, levels[i].name) == 0) break;
    }
    Choice c;
    c.name = levels[pick].name;
    c.reason = pick + 1 < n && levels[pick + 1].supported ? "capped by CHAINRULE_ISA"
               : pick + 1 < n                             ? "the highest this processor supports"
                                                          : "the highest level in this build, and supported";
    if (cap != nullptr && *cap != 0 && !cap_known)
      c.reason += "; CHAINRULE_ISA=" + std::string(cap) + " is not a level of this build";
    for (const kernels::KernelEntry* const* table = levels[pick].tables; *table != nullptr; ++table)
      for (const kernels::KernelEntry* entry = *table; entry->name != nullptr; ++entry)
        c.kernels.emplace(Key{entry->name, static_cast<DType>(entry->dtype)}, entry->kernel);
    return c;
  }();
  return chosen;
}

}  // namespace

kernels::Kernel find_kernel(std::string_view name, DType key) noexcept {
  const auto& kernels = choice().kernels;
  const auto found = kernels.find(Key{name, key});
  return found == kernels.end() ? nullptr : found->second;
}
std::string_view level() noexcept { return choice().name; }
std::string level_reason() { return choice().reason; }

}  // namespace chainrule::dispatch
