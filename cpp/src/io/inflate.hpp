// Decompression of DEFLATE streams (RFC 1951) and gzip files (RFC 1952), for data sets and .npz archives. No
// compression.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "io/file.hpp"

namespace chainrule::io {

// Damaged input; the caller turns it into an error that names the file.
struct InflateError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Inflated {
  Bytes bytes;
  bool finished = true;      // false: stopped at `limit` with more to come
  std::size_t consumed = 0;  // input bytes used
};
// Memory grows with what really comes out, at most to `limit`, whatever a header claims.
Inflated inflate(ByteSpan input, std::size_t limit);

bool is_gzip(ByteSpan bytes) noexcept;
// All members of a gzip file, their checksums verified (unless it stops at `limit`).
Inflated gunzip(ByteSpan input, std::size_t limit);

std::uint32_t crc32(ByteSpan bytes) noexcept;

}  // namespace chainrule::io
