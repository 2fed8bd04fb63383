// XXH64 against values of the reference implementation, and in pieces.
#include "io/checksum.hpp"

#include <doctest/doctest.h>

#include <string>

using chainrule::io::Checksum;

namespace {

std::uint64_t of(std::string_view text) {
  Checksum sum;
  sum.add(text);
  return sum.value();
}

}  // namespace

TEST_CASE("checksums are those of the specification") {
  CHECK(of("") == 0xEF46DB3751D8E999u);
  CHECK(of("a") == 0xD24EC4F1A98C6E5Bu);
  CHECK(of("abc") == 0x44BC2CF5AD770999u);
  CHECK(of("Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1u);
}

TEST_CASE("pieces of any size give the checksum of the whole") {
  std::string text;
  for (int i = 0; i < 200; ++i) text += static_cast<char>(i * 7 + 1);
  for (std::size_t size = 0; size < text.size(); size += 13)
    for (std::size_t cut = 0; cut <= size; cut += 5) {
      Checksum sum;
      sum.add(std::string_view(text).substr(0, cut));
      sum.add(std::string_view(text).substr(cut, size - cut));
      CHECK(sum.value() == of(std::string_view(text).substr(0, size)));
    }
}
