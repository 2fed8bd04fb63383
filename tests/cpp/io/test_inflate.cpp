// DEFLATE and gzip: streams made by zlib, and damaged ones.
#include "bytes.hpp"
#include "io/inflate.hpp"

using namespace chainrule::io;
using namespace chainrule::test;

namespace {

constexpr std::size_t no_limit = std::size_t{1} << 30;

std::string lines(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += "the quick brown fox " + std::to_string(i) + " jumps over the lazy dog; ";
  return text;
}
// zlib.compressobj(9, DEFLATED, -15) of lines(20): one block with codes of its own.
const Bytes dynamic_block = from_hex(
    "95d1490e82501405d1adbc25700111c26a6c40fa8f7482ab8738744052c34a6a76a622b3f75c3e6abb0feed359ee56f3ac9adb7e34b764834d"
    "c7d0dcbe"
    "9b3ddd2bfdd5ff2eb6fb6c0fd81eb2fdc2f688ed57b6c76c4f20136585ae82b082b282b482b682b882ba82bc3af1dd01");
// The same with Z_FIXED, of the first 96 bytes.
const Bytes fixed_block = from_hex(
    "2bc94855282ccd4cce56482aca2fcf5348cbaf503050c82acd2d2856c82f4b2d5228012ac849acaa5448c94fb706f3d0951be2530e00");

Bytes gzip_of(const Bytes& deflated, std::string_view plain) {
  Bytes file = from_hex("1f8b0800000000000003");
  append(file, deflated);
  append(file, crc32({reinterpret_cast<const unsigned char*>(plain.data()), plain.size()}));
  append(file, static_cast<std::uint32_t>(plain.size()));
  return file;
}

}  // namespace

TEST_CASE("inflate: blocks of all kinds") {
  CHECK(text_of(inflate(dynamic_block, no_limit).bytes) == lines(20));
  CHECK(text_of(inflate(fixed_block, no_limit).bytes) == lines(3).substr(0, 96));
  CHECK(text_of(inflate(from_hex("4b4c1c05a360140c770000"), no_limit).bytes) ==
        std::string(1000, 'a'));                                                   // overlapping copies
  CHECK(text_of(inflate(from_hex("010300fcff616263"), no_limit).bytes) == "abc");  // stored
  CHECK(inflate(from_hex("0300"), no_limit).bytes.empty());
}

TEST_CASE("inflate: stops at the limit") {
  const Inflated part = inflate(dynamic_block, 100);
  CHECK_FALSE(part.finished);
  CHECK(text_of(part.bytes) == lines(20).substr(0, 100));
  CHECK(inflate(dynamic_block, lines(20).size()).finished);
  CHECK_FALSE(inflate(from_hex("010300fcff616263"), 2).finished);
}

TEST_CASE("inflate: every cut and every flipped bit ends in an error or in an end") {
  for (std::size_t n = 0; n < dynamic_block.size(); ++n) {
    const Bytes cut(dynamic_block.begin(), dynamic_block.begin() + static_cast<std::ptrdiff_t>(n));
    CHECK_THROWS_AS(inflate(cut, no_limit), InflateError);
  }
  for (std::size_t bit = 0; bit < 8 * dynamic_block.size(); ++bit) {
    Bytes wrong = dynamic_block;
    wrong[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
    try {
      const Inflated result = inflate(wrong, 1 << 20);
      CHECK(result.bytes.size() <= (1u << 20));
    } catch (const InflateError&) {}
  }
  CHECK_THROWS_AS(inflate(from_hex("07"), no_limit), InflateError);                // type 3
  CHECK_THROWS_AS(inflate(from_hex("010300fdff616263"), no_limit), InflateError);  // length and its complement
  CHECK_THROWS_AS(inflate(from_hex("4b04a20000"), no_limit), InflateError);        // a distance before the beginning
}

TEST_CASE("gunzip: members, optional header fields, checksums") {
  const Bytes plain = gzip_of(dynamic_block, lines(20));
  CHECK(text_of(gunzip(plain, no_limit).bytes) == lines(20));
  Bytes twice = plain;
  append(twice, plain);
  append(twice, Bytes(5, 0));  // padding
  CHECK(text_of(gunzip(twice, no_limit).bytes) == lines(20) + lines(20));

  Bytes named = from_hex("1f8b081e000000000003");  // extra field, name, comment, header checksum
  append(named, from_hex("0200aabb"));
  append(named, std::string_view("name\0comment\0xx", 15));
  named.insert(named.end(), plain.begin() + 10, plain.end());
  CHECK(text_of(gunzip(named, no_limit).bytes) == lines(20));

  Bytes wrong = plain;
  wrong[wrong.size() - 8] ^= 1;
  CHECK_THROWS_WITH_AS(gunzip(wrong, no_limit), "the checksum does not match: the data are damaged", InflateError);
  wrong = plain;
  wrong.back() ^= 1;
  CHECK_THROWS_WITH_AS(gunzip(wrong, no_limit), "the length does not match: the data are damaged", InflateError);
  wrong = plain;
  append(wrong, std::string_view("junk"));
  CHECK_THROWS_AS(gunzip(wrong, no_limit), InflateError);
  for (std::size_t n = 2; n < plain.size(); ++n)
    CHECK_THROWS_AS(gunzip(Bytes(plain.begin(), plain.begin() + static_cast<std::ptrdiff_t>(n)), no_limit),
                    InflateError);
}

TEST_CASE("crc32: the check value of the catalogue") {
  const Bytes nine = bytes_from("123456789");
  CHECK(crc32(nine) == 0xCBF43926u);
}
