// XXH64: four lanes over stripes of 32 bytes, then the rest.
#include "io/checksum.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

namespace chainrule::io {
namespace {

constexpr std::uint64_t prime1 = 0x9E3779B185EBCA87u, prime2 = 0xC2B2AE3D27D4EB4Fu, prime3 = 0x165667B19E3779F9u,
                        prime4 = 0x85EBCA77C2B2AE63u, prime5 = 0x27D4EB2F165667C5u;

template <class Word> Word read(const unsigned char* from) noexcept {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}
std::uint64_t round(std::uint64_t lane, std::uint64_t word) noexcept {
  return std::rotl(lane + word * prime2, 31) * prime1;
}
void stripe(std::array<std::uint64_t, 4>& lanes, const unsigned char* from) noexcept {
  for (std::size_t i = 0; i < 4; ++i) lanes[i] = round(lanes[i], read<std::uint64_t>(from + 8 * i));
}

}  // namespace

Checksum::Checksum() noexcept : lanes_{prime1 + prime2, prime2, 0, 0 - prime1} {}

void Checksum::add(std::string_view bytes) noexcept {
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  const std::size_t held = size_ % 32;
  size_ += left;
  if (held > 0) {
    const std::size_t taken = std::min(left, 32 - held);
    std::memcpy(rest_.data() + held, at, taken);
    at += taken, left -= taken;
    if (held + taken < 32) return;
    stripe(lanes_, rest_.data());
  }
  for (; left >= 32; at += 32, left -= 32) stripe(lanes_, at);
  if (left > 0) std::memcpy(rest_.data(), at, left);
}

std::uint64_t Checksum::value() const noexcept {
  std::uint64_t hash = prime5;
  if (size_ >= 32) {
    hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
    for (const std::uint64_t lane : lanes_) hash = (hash ^ round(0, lane)) * prime1 + prime4;
  }
  hash += size_;
  const unsigned char *at = rest_.data(), *const end = at + size_ % 32;
  for (; end - at >= 8; at += 8) hash = std::rotl(hash ^ round(0, read<std::uint64_t>(at)), 27) * prime1 + prime4;
  for (; end - at >= 4; at += 4) hash = std::rotl(hash ^ read<std::uint32_t>(at) * prime1, 23) * prime2 + prime3;
  for (; at != end; ++at) hash = std::rotl(hash ^ *at * prime5, 11) * prime1;
  hash = (hash ^ hash >> 33) * prime2;
  hash = (hash ^ hash >> 29) * prime3;
  return hash ^ hash >> 32;
}

}  // namespace chainrule::io
