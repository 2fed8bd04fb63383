// DEFLATE as in RFC 1951: canonical Huffman codes decoded through a table of 10 bits, longer codes bit by bit.
#include "io/inflate.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace chainrule::io {
namespace {

[[noreturn]] void damaged(const char* what) { throw InflateError(what); }

// Bits, least significant first. Past the end of the input zeros come, and `overrun` counts them.
class Bits {
 public:
  explicit Bits(ByteSpan input) : next_(input.data()), begin_(input.data()), end_(input.data() + input.size()) {}

  void refill() {  // at least 48 bits afterwards
    if (end_ - next_ >= 8) {
      std::uint64_t word;
      std::memcpy(&word, next_, 8);
      if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
      buffer_ |= word << count_;
      const int taken = (63 - count_) >> 3;
      next_ += taken;
      count_ += 8 * taken;
      return;
    }
    while (count_ <= 48) {
      if (next_ < end_)
        buffer_ |= std::uint64_t{*next_++} << count_;
      else
        overrun_ += 8;
      count_ += 8;
    }
  }
  std::uint32_t peek(int n) const { return static_cast<std::uint32_t>(buffer_ & ((std::uint64_t{1} << n) - 1)); }
  void drop(int n) {
    buffer_ >>= n;
    count_ -= n;
  }
  std::uint32_t take(int n) {
    const std::uint32_t value = peek(n);
    drop(n);
    return value;
  }
  void check() const {  // were bits used that the input does not have?
    if (overrun_ > count_) damaged("the compressed data end too early");
  }
  void align() { drop(count_ & 7); }
  // Whole bytes, after align(): gives back what was read ahead.
  ByteSpan bytes(std::size_t n) {
    check();
    next_ -= (count_ - overrun_) / 8;
    buffer_ = 0;
    count_ = overrun_ = 0;
    if (n > static_cast<std::size_t>(end_ - next_)) damaged("the compressed data end too early");
    const ByteSpan span(next_, n);
    next_ += n;
    return span;
  }
  std::size_t consumed() const {
    return static_cast<std::size_t>(next_ - begin_) - static_cast<std::size_t>((count_ - overrun_) / 8);
  }

 private:
  const unsigned char* next_;
  const unsigned char* begin_;
  const unsigned char* end_;
  std::uint64_t buffer_ = 0;
  int count_ = 0, overrun_ = 0;
};

class Huffman {
 public:
  static constexpr int max_length = 15, table_bits = 10;

  // lengths[symbol] is the code's length, 0: unused. A code that is over-subscribed is refused; an incomplete one only
  // where it has a single symbol, as RFC 1951 allows for distances.
  void build(const unsigned char* lengths, int symbols) {
    count_.fill(0);
    for (int s = 0; s < symbols; ++s) ++count_[lengths[s]];
    count_[0] = 0;
    int left = 1, used = 0;
    for (int l = 1; l <= max_length; ++l) {
      left = 2 * left - count_[static_cast<std::size_t>(l)];
      used += count_[static_cast<std::size_t>(l)];
      if (left < 0) damaged("a Huffman code is over-subscribed");
    }
    if (left > 0 && used > 1) damaged("a Huffman code is incomplete");
    std::array<std::uint16_t, max_length + 2> offset{};
    for (std::size_t l = 1; l <= max_length; ++l) offset[l + 1] = static_cast<std::uint16_t>(offset[l] + count_[l]);
    for (int s = 0; s < symbols; ++s)
      if (lengths[s] != 0) symbol_[offset[lengths[s]]++] = static_cast<std::uint16_t>(s);

    table_.fill(0);
    std::uint32_t code = 0;
    std::size_t at = 0;
    for (int l = 1; l <= table_bits; ++l) {
      for (int k = 0; k < count_[static_cast<std::size_t>(l)]; ++k, ++code, ++at) {
        std::uint32_t reversed = 0;  // codes are sent most significant bit first
        for (int b = 0; b < l; ++b) reversed |= (code >> b & 1u) << (l - 1 - b);
        for (std::uint32_t i = reversed; i < table_.size(); i += 1u << l)
          table_[i] = static_cast<std::uint16_t>(symbol_[at] << 4 | l);
      }
      code <<= 1;
    }
  }

  int decode(Bits& bits) const {
    const std::uint16_t entry = table_[bits.peek(table_bits)];
    if (entry != 0) {
      bits.drop(entry & 15);
      return entry >> 4;
    }
    int code = 0, first = 0, index = 0;
    for (int l = 1; l <= max_length; ++l) {
      code |= static_cast<int>(bits.take(1));
      const int count = count_[static_cast<std::size_t>(l)];
      if (code - count < first) return symbol_[static_cast<std::size_t>(index + code - first)];
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    damaged("a Huffman code is not in its table");
  }

 private:
  std::array<std::uint16_t, 16> count_{};
  std::array<std::uint16_t, 288> symbol_{};
  std::array<std::uint16_t, 1 << table_bits> table_{};
};

constexpr std::array<std::uint16_t, 29> length_base{3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                                    31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
constexpr std::array<std::uint8_t, 29> length_extra{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                                    2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
constexpr std::array<std::uint16_t, 30> distance_base{1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
                                                      33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
                                                      1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
constexpr std::array<std::uint8_t, 30> distance_extra{0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
                                                      6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};

void read_codes(Bits& bits, Huffman& literals, Huffman& distances) {
  bits.refill();
  const int n_literals = static_cast<int>(bits.take(5)) + 257, n_distances = static_cast<int>(bits.take(5)) + 1;
  const int n_lengths = static_cast<int>(bits.take(4)) + 4;
  if (n_literals > 286 || n_distances > 30) damaged("a block has too many symbols");
  constexpr std::array<std::uint8_t, 19> order{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  std::array<unsigned char, 320> lengths{};
  for (int i = 0; i < n_lengths; ++i) {
    bits.refill();
    lengths[order[static_cast<std::size_t>(i)]] = static_cast<unsigned char>(bits.take(3));
  }
  Huffman code;
  code.build(lengths.data(), 19);
  lengths.fill(0);
  for (int i = 0; i < n_literals + n_distances;) {
    bits.refill();
    const int symbol = code.decode(bits);
    if (symbol < 16) {
      lengths[static_cast<std::size_t>(i++)] = static_cast<unsigned char>(symbol);
      continue;
    }
    if (symbol == 16 && i == 0) damaged("a block repeats a length before the first");
    const unsigned char value = symbol == 16 ? lengths[static_cast<std::size_t>(i - 1)] : static_cast<unsigned char>(0);
    int repeat = symbol == 16   ? 3 + static_cast<int>(bits.take(2))
                 : symbol == 17 ? 3 + static_cast<int>(bits.take(3))
                                : 11 + static_cast<int>(bits.take(7));
    if (i + repeat > n_literals + n_distances) damaged("a block has too many code lengths");
    while (repeat-- > 0) lengths[static_cast<std::size_t>(i++)] = value;
  }
  bits.check();
  if (lengths[256] == 0) damaged("a block has no end");
  literals.build(lengths.data(), n_literals);
  distances.build(lengths.data() + n_literals, n_distances);
}

void fixed_codes(Huffman& literals, Huffman& distances) {
  std::array<unsigned char, 288> lengths{};
  for (std::size_t i = 0; i < 288; ++i) lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  literals.build(lengths.data(), 288);
  lengths.fill(5);
  distances.build(lengths.data(), 32);
}

// The bytes so far; makes room ahead of writing, at most to the limit.
struct Output {
  Bytes bytes;
  std::size_t size = 0, limit;

  void make_room() {
    bytes.resize(std::min(limit, std::max<std::size_t>(bytes.size() + bytes.size() / 2, std::size_t{1} << 16)));
  }
};

// One compressed block; false where the limit was reached before its end.
bool read_block(Bits& bits, const Huffman& literals, const Huffman& distances, Output& out) {
  for (;;) {
    bits.refill();  // 48 bits hold a length (15 + 5) and a distance (15 + 13)
    const int symbol = literals.decode(bits);
    if (symbol == 256) {
      bits.check();
      return true;
    }
    if (symbol < 256) {
      if (out.size == out.bytes.size()) {
        bits.check();
        if (out.size == out.limit) return false;
        out.make_room();
      }
      out.bytes[out.size++] = static_cast<unsigned char>(symbol);
      continue;
    }
    if (symbol > 285) damaged("a length is not defined");
    const auto l = static_cast<std::size_t>(symbol - 257);
    std::size_t length = length_base[l] + bits.take(length_extra[l]);
    const auto d = static_cast<std::size_t>(distances.decode(bits));
    if (d > 29) damaged("a distance is not defined");
    const std::size_t distance = distance_base[d] + bits.take(distance_extra[d]);
    if (distance > out.size) damaged("a distance points before the beginning");
    while (length > 0) {
      if (out.size == out.bytes.size()) {
        bits.check();
        if (out.size == out.limit) return false;
        out.make_room();
      }
      const std::size_t n = std::min(length, out.bytes.size() - out.size);
      unsigned char* to = out.bytes.data() + out.size;
      const unsigned char* from = to - distance;
      for (std::size_t i = 0; i < n; ++i) to[i] = from[i];  // may overlap: a repeat
      out.size += n;
      length -= n;
    }
  }
}

}  // namespace

Inflated inflate(ByteSpan input, std::size_t limit) {
  Bits bits(input);
  Output out{{}, 0, limit};
  Huffman literals, distances;
  bool finished = true;
  for (bool last = false; !last && finished;) {
    bits.refill();
    last = bits.take(1) != 0;
    const std::uint32_t type = bits.take(2);
    if (type == 0) {
      bits.align();
      const ByteSpan size = bits.bytes(4);
      const std::size_t n = size[0] | static_cast<std::size_t>(size[1]) << 8;
      if ((n ^ 0xFFFF) != (size[2] | static_cast<std::size_t>(size[3]) << 8))
        damaged("a stored block has a wrong length");
      const ByteSpan stored = bits.bytes(n);
      const std::size_t fits = std::min(n, limit - out.size);
      while (out.bytes.size() - out.size < fits) out.make_room();
      if (fits > 0) std::memcpy(out.bytes.data() + out.size, stored.data(), fits);
      out.size += fits;
      finished = fits == n;
      continue;
    }
    if (type == 3) damaged("a block has an undefined type");
    if (type == 1)
      fixed_codes(literals, distances);
    else
      read_codes(bits, literals, distances);
    finished = read_block(bits, literals, distances, out);
  }
  bits.check();
  out.bytes.resize(out.size);
  return {std::move(out.bytes), finished, bits.consumed()};
}

bool is_gzip(ByteSpan bytes) noexcept { return bytes.size() >= 2 && bytes[0] == 0x1F && bytes[1] == 0x8B; }

Inflated gunzip(ByteSpan input, std::size_t limit) {
  const auto word = [&](std::size_t at) {
    return input[at] | std::uint32_t{input[at + 1]} << 8 | std::uint32_t{input[at + 2]} << 16 |
           std::uint32_t{input[at + 3]} << 24;
  };
  Inflated all;
  std::size_t at = 0;
  while (at < input.size() && all.finished) {
    if (at > 0 && !is_gzip(input.subspan(at))) {  // padding behind the last member
      if (std::any_of(input.begin() + static_cast<std::ptrdiff_t>(at), input.end(),
                      [](unsigned char c) { return c != 0; }))
        damaged("something follows the end of the compressed data");
      break;
    }
    const auto need = [&](std::size_t n) {
      if (input.size() - at < n) damaged("the gzip header is cut short");
    };
    need(10);
    if (!is_gzip(input.subspan(at))) damaged("no gzip header");
    const unsigned flags = input[at + 3];
    if (input[at + 2] != 8 || (flags & 0xE0) != 0) damaged("an unknown kind of gzip compression");
    at += 10;
    if (flags & 4) {  // extra field
      need(2);
      const std::size_t n = 2 + (input[at] | static_cast<std::size_t>(input[at + 1]) << 8);
      need(n);
      at += n;
    }
    for (const unsigned text : {8u, 16u}) {  // name, comment: up to a zero byte
      if (!(flags & text)) continue;
      while (need(1), input[at] != 0) ++at;
      ++at;
    }
    if (flags & 2) {  // header checksum
      need(2);
      at += 2;
    }
    Inflated member = inflate(input.subspan(at), limit - all.bytes.size());
    at += member.consumed;
    if (member.finished) {
      if (input.size() - at < 8) damaged("the compressed data end too early");
      if (word(at) != crc32(member.bytes)) damaged("the checksum does not match: the data are damaged");
      if (word(at + 4) != (member.bytes.size() & 0xFFFFFFFFu))
        damaged("the length does not match: the data are damaged");
      at += 8;
    }
    all.finished = member.finished;
    if (all.bytes.empty())
      all.bytes = std::move(member.bytes);
    else
      all.bytes.insert(all.bytes.end(), member.bytes.begin(), member.bytes.end());
  }
  all.consumed = at;
  return all;
}

std::uint32_t crc32(ByteSpan bytes) noexcept {
  // Four tables: four bytes a step.
  static const auto tables = [] {
    std::array<std::array<std::uint32_t, 256>, 4> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t c = i;
      for (int k = 0; k < 8; ++k) c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
      t[0][i] = c;
    }
    for (std::size_t k = 1; k < 4; ++k)
      for (std::size_t i = 0; i < 256; ++i) t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 255];
    return t;
  }();
  std::uint32_t c = ~std::uint32_t{0};
  std::size_t i = 0;
  for (; i + 4 <= bytes.size(); i += 4) {
    c ^= bytes[i] | std::uint32_t{bytes[i + 1]} << 8 | std::uint32_t{bytes[i + 2]} << 16 |
         std::uint32_t{bytes[i + 3]} << 24;
    c = tables[3][c & 255] ^ tables[2][c >> 8 & 255] ^ tables[1][c >> 16 & 255] ^ tables[0][c >> 24];
  }
  for (; i < bytes.size(); ++i) c = c >> 8 ^ tables[0][(c ^ bytes[i]) & 255];
  return ~c;
}

}  // namespace chainrule::io
