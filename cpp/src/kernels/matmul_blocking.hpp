// The sizes that the matrix product and its plan share. Constants only: this header is compiled at every ISA level.
#pragma once

#include <cstdint>

namespace chainrule::kernels {

// The contract's block along k: one FMA chain per element within it.
inline constexpr std::int64_t matmul_block = 1024;

// Copies of operands in scratch: a panel of B has at most this many bytes per step of k, a block of A has at most this
// many bytes, tiles of A are padded to whole groups of rows. B is copied once for each block of A; a block is read from
// its first byte to its last for each panel, slowly enough to come from a third-level cache.
inline constexpr std::int64_t matmul_panel_bytes = 256;
inline constexpr std::int64_t matmul_block_bytes = 2304 * 1024;
inline constexpr std::int64_t matmul_strided_bytes = 1024 * 1024;  // an operand up to this is read in place
inline constexpr std::int64_t matmul_slack_bytes = 256;            // copies may write whole packets past their end

}  // namespace chainrule::kernels
