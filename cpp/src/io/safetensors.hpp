// The safetensors container (huggingface.co/docs/safetensors, format description): eight bytes with the header's
// length, a JSON header of names, dtypes, shapes and offsets, then the data without holes. Knows nothing of models.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "chainrule/nn.hpp"
#include "io/file.hpp"

namespace chainrule::io {

using Metadata = std::vector<std::pair<std::string, std::string>>;

// The file in parts that point into `header` and into the tensors, which must outlive it.
struct TensorFile {
  std::string header;  // with its length in front
  std::vector<std::string_view> parts;
};
// Larger elements come first, so that all data are aligned; among equal ones the order is kept. checksum: also puts one
// of the whole file under that key of the metadata.
TensorFile write_tensors(const std::vector<nn::NamedTensor>& tensors, const Metadata& metadata, bool checksum = false);

struct TensorEntry {
  std::string name;
  DType dtype = DType::float32;
  Shape shape{};
  ByteSpan bytes;
  Tensor tensor() const;  // a copy
};
struct TensorListing {
  Metadata metadata;
  std::vector<TensorEntry> entries;  // in the order of their data
};
// Checks everything, a checksum as well where there is one: throws FileError "load: name: ...".
TensorListing read_tensors(ByteSpan bytes, const std::string& name);
const std::string* find_metadata(const TensorListing& listing, std::string_view key);  // null: there is none

}  // namespace chainrule::io
