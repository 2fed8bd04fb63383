// Products in bfloat16 on AMX, compiled once, for processors that have it beside AVX-512: levels.cmake,
// dispatch/amx.hpp.
#include "kernels/matmul_bf16.hpp"

#include "kernels/amx_tiles.hpp"
#include "kernels/keys.hpp"

CHAINRULE_KERNEL_TABLE(matmul_bf16) = {
    {"pack_bf16", chainrule::key<float>, &chainrule::bf16::pack<chainrule::AmxTiles>},
    {"matmul_bf16", chainrule::key_bfloat16, &chainrule::bf16::multiply<chainrule::AmxTiles>},
    {nullptr, 0, nullptr},
};
