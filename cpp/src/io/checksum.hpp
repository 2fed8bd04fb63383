// XXH64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md) with seed 0: tells whether bytes are as they were written. It
// guards against damage, not against intent.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace chainrule::io {

class Checksum {
 public:
  Checksum() noexcept;
  void add(std::string_view bytes) noexcept;
  std::uint64_t value() const noexcept;  // of everything added so far

 private:
  std::array<std::uint64_t, 4> lanes_;
  std::array<unsigned char, 32> rest_{};  // of the last, incomplete stripe
  std::uint64_t size_ = 0;
};

}  // namespace chainrule::io
