// The safetensors container (huggingface.co/docs/safetensors, format description): eight bytes with the header's
// length, a JSON header of names, dtypes, shapes and offsets, then the data without holes. Knows nothing of models.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "chainrule/nn.hpp"
#include "io/file.hpp"

namespace chainrule::io {

// The file in parts that point into `header` and into the tensors, which must outlive it.
struct TensorFile {
  std::string header;  // with its length in front
  std::vector<std::string_view> parts;
};
// Larger elements come first, so that all data are aligned; among equal ones the order is kept.
TensorFile write_tensors(const std::vector<nn::NamedTensor>& tensors, const std::string& metadata_key,
                         const std::string& metadata);

struct TensorEntry {
  std::string name;
  DType dtype = DType::float32;
  Shape shape{};
  ByteSpan bytes;
  Tensor tensor() const;  // a copy
};
struct TensorListing {
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<TensorEntry> entries;  // in the order of their data
};
// Checks everything: throws FileError "load: name: ...".
TensorListing read_tensors(ByteSpan bytes, const std::string& name);

}  // namespace chainrule::io
