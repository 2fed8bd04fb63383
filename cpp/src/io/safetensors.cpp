// Writing and reading safetensors.
#include "io/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <optional>

#include "graph/tensor_data.hpp"
#include "io/checksum.hpp"
#include "io/json.hpp"

static_assert(std::endian::native == std::endian::little, "the data in a safetensors file are little-endian");

namespace chainrule::io {
namespace {

constexpr const char* reader = "load";
constexpr std::size_t length_bytes = 8, largest_header = 100'000'000;  // as in the reference implementation

constexpr const char* names[dtype_count] = {"F32", "F64", "I32", "I64", "U8", "BOOL", "BF16"};

std::optional<DType> dtype_of_name(std::string_view name) {
  for (int i = 0; i < dtype_count; ++i)
    if (name == names[i]) return static_cast<DType>(i);
  return {};
}

// A file's checksum is that of its bytes with zeros for its own digits.
constexpr const char* checksum_key = "checksum";
constexpr std::size_t checksum_digits = 16;

std::string in_digits(std::uint64_t value) {
  char text[checksum_digits + 1];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

// Where its digits are in a header; npos: nowhere. The metadata come first, and a quote within a text is escaped.
std::size_t checksum_place(std::string_view header) {
  const std::string before = "\"" + std::string(checksum_key) + "\":\"";
  const std::size_t found = header.find(before);
  return found == std::string_view::npos ? found : found + before.size();
}

void check_checksum(ByteSpan bytes, std::uint64_t header_length, const std::string& given, const std::string& name) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t at = checksum_place(all.substr(0, length_bytes + header_length));
  const bool fits =
      at != std::string_view::npos && given.size() == checksum_digits && all.substr(at, checksum_digits) == given;
  Checksum sum;
  if (fits) {
    sum.add(all.substr(0, at));
    sum.add(std::string(checksum_digits, '0'));
    sum.add(all.substr(at + checksum_digits));
  }
  if (!fits || in_digits(sum.value()) != given)
    file_fail(reader, name, "its checksum does not match", "", "the file is damaged");
}

TensorEntry read_entry(const std::string& name, const JsonView& view, ByteSpan data) {
  view.only({"dtype", "shape", "data_offsets"});
  TensorEntry entry;
  entry.name = name;
  const auto dtype = dtype_of_name(view["dtype"].string());
  if (!dtype) view["dtype"].fail("chainrule has no dtype for it: " + in_quotes(view["dtype"].string()));
  entry.dtype = *dtype;
  std::size_t size = size_of(entry.dtype), all = size;
  const JsonView shape = view["shape"];
  if (shape.size() > Shape::max_rank) shape.fail("has more than 8 sizes");
  for (const JsonView& item : shape.items()) {
    const std::int64_t d = item.integer(0);
    // A size of 0 must not hide an overflow of the others.
    if (__builtin_mul_overflow(all, std::max<std::size_t>(static_cast<std::size_t>(d), 1), &all) ||
        all > (std::size_t{1} << 56))
      shape.fail("is larger than any file");
    size *= static_cast<std::size_t>(d);
    entry.shape.push_back(d);
  }
  const JsonView offsets = view["data_offsets"];
  if (offsets.size() != 2) offsets.fail("should hold two offsets");
  const auto begin = static_cast<std::size_t>(offsets.at(0).integer(0)),
             end = static_cast<std::size_t>(offsets.at(1).integer(0));
  if (begin > end || end > data.size())
    offsets.fail("point outside of the data, which are " + std::to_string(data.size()) + " bytes");
  if (end - begin != size)
    offsets.fail("span " + std::to_string(end - begin) + " bytes, the shape needs " + std::to_string(size));
  entry.bytes = data.subspan(begin, size);
  return entry;
}

}  // namespace

TensorFile write_tensors(const std::vector<nn::NamedTensor>& tensors, const Metadata& metadata, bool checksum) {
  std::vector<const nn::NamedTensor*> order;
  order.reserve(tensors.size());
  for (const nn::NamedTensor& t : tensors) order.push_back(&t);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return size_of(a->tensor.dtype()) > size_of(b->tensor.dtype());
  });

  TensorFile file;
  std::string& header = file.header;
  header.assign(length_bytes, '\0');
  Json texts = Json::object();
  for (const auto& [key, text] : metadata) texts[key] = text;
  if (checksum) texts[checksum_key] = std::string(checksum_digits, '0');
  header += "{\"__metadata__\":" + texts.dump();
  std::size_t at = 0;
  for (const nn::NamedTensor* t : order) {
    const std::size_t size = static_cast<std::size_t>(t->tensor.size()) * size_of(t->tensor.dtype());
    header += "," + Json(t->name).dump() + ":{\"dtype\":\"" + names[static_cast<std::size_t>(t->tensor.dtype())] +
              "\",\"shape\":[";
    for (int i = 0; i < t->tensor.rank(); ++i) header += (i ? "," : "") + std::to_string(t->tensor.shape(i));
    header += "],\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(at + size) + "]}";
    at += size;
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  const std::uint64_t length = header.size() - length_bytes;
  if (length > largest_header)
    fail<ValueError>("save", "the header is larger than the format allows", std::to_string(length) + " bytes",
                     "the model has too many layers for one file");
  std::memcpy(header.data(), &length, length_bytes);

  file.parts.emplace_back(header);
  for (const nn::NamedTensor* t : order) {
    const std::size_t size = static_cast<std::size_t>(t->tensor.size()) * size_of(t->tensor.dtype());
    if (size > 0) file.parts.emplace_back(static_cast<const char*>(t->tensor.raw_data()), size);
  }
  if (checksum) {
    Checksum sum;
    for (const std::string_view part : file.parts) sum.add(part);
    const std::string text = in_digits(sum.value());
    header.replace(checksum_place(header), text.size(), text);  // in place: parts point into it
  }
  return file;
}

const std::string* find_metadata(const TensorListing& listing, std::string_view key) {
  for (const auto& [own, text] : listing.metadata)
    if (own == key) return &text;
  return nullptr;
}

Tensor TensorEntry::tensor() const {
  if (dtype == DType::boolean && std::any_of(bytes.begin(), bytes.end(), [](unsigned char b) { return b > 1; }))
    throw JsonError(in_quotes(name) + ": a bool that is neither 0 nor 1");
  return Tensor::from_raw(bytes.data(), static_cast<std::size_t>(shape.size()), shape, dtype);
}

TensorListing read_tensors(ByteSpan bytes, const std::string& name) {
  if (bytes.size() < length_bytes + 2)
    file_fail(reader, name, "is no model file", "it has only " + std::to_string(bytes.size()) + " bytes",
              "write it with save");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), length_bytes);
  if (bytes[length_bytes] != '{')
    file_fail(reader, name, "is no model file", "", "a safetensors file written by save is needed");
  if (length > largest_header)
    file_fail(reader, name, "its header is too long", std::to_string(length) + " bytes", "the file is damaged");
  if (length > bytes.size() - length_bytes)
    file_fail(reader, name, "cut short",
              "its header has " + std::to_string(length) + " bytes, the file " + std::to_string(bytes.size()),
              "copy it again");
  const ByteSpan data = bytes.subspan(length_bytes + length);
  TensorListing listing;
  try {
    const Json header = parse_json({reinterpret_cast<const char*>(bytes.data()) + length_bytes, length}, 8);
    if (!header.is_object()) throw JsonError("should be an object");
    for (const auto& [key, value] : header.items()) {
      const JsonView view(value, in_quotes(key));
      if (key != "__metadata__") {
        listing.entries.push_back(read_entry(key, view, data));
        continue;
      }
      if (!view.is_object()) view.fail("should be an object");
      for (const auto& [entry, text] : value.items())
        listing.metadata.emplace_back(entry, JsonView(text, in_quotes(entry)).string());
    }
  } catch (const JsonError& error) {
    file_fail(reader, name, "its header is damaged", error.what(), "the file is not what save writes");
  }
  // In the order of the data there must be no overlap and no hole, and nothing behind the last.
  std::stable_sort(listing.entries.begin(), listing.entries.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return a.bytes.data() != b.bytes.data() ? a.bytes.data() < b.bytes.data() : a.bytes.size() < b.bytes.size();
  });
  const unsigned char* at = data.data();
  for (const TensorEntry& entry : listing.entries) {
    if (entry.bytes.data() != at)
      file_fail(reader, name, entry.bytes.data() < at ? "two tensors overlap" : "there is a hole in front of a tensor",
                in_quotes(entry.name), "the file is damaged");
    at += entry.bytes.size();
  }
  if (at != data.data() + data.size())
    file_fail(reader, name, "something follows the last tensor",
              std::to_string(data.data() + data.size() - at) + " bytes", "the file is damaged");
  if (const std::string* given = find_metadata(listing, checksum_key)) check_checksum(bytes, length, *given, name);
  return listing;
}

}  // namespace chainrule::io
