// The model file as a whole: what is under the key "chainrule" of its metadata.
#pragma once

#include <string>

#include "chainrule/model.hpp"
#include "io/safetensors.hpp"

namespace chainrule::io {

inline constexpr const char* metadata_key = "chainrule";
inline constexpr std::int64_t file_format = 1;
// What a checkpoint holds beside the model: a key of the metadata, and tensors whose names begin so.
inline constexpr const char* checkpoint_key = "checkpoint";
inline constexpr const char* checkpoint_prefix = "checkpoint/";

// A model as a file has it: the text under metadata_key, and its live tensors, then the constants of its graphs.
struct ModelDescription {
  std::string json;
  std::vector<nn::NamedTensor> tensors;
  std::size_t own = 0;  // so many of them are parameters and buffers
};
ModelDescription describe_model(const nn::Module& model, const SaveOptions& options);
// Parameters and buffers, each once by its first path, a module's own before its children's.
std::vector<nn::NamedTensor> tensors_of(nn::ModuleImpl& root);
// Throws ValueError where a text is no UTF-8.
TensorFile write_described(const std::vector<nn::NamedTensor>& tensors, const Metadata& metadata, bool checksum);

Model read_model(ByteSpan bytes, const std::string& name);

}  // namespace chainrule::io
