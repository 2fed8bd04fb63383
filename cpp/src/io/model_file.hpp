// The model file as a whole: what is under the key "chainrule" of its metadata.
#pragma once

#include <string>

#include "chainrule/model.hpp"
#include "io/safetensors.hpp"

namespace chainrule::io {

inline constexpr const char* metadata_key = "chainrule";
inline constexpr std::int64_t file_format = 1;

// The parts point into the model's tensors and into `held`, constants of its graphs.
struct WrittenModel {
  TensorFile file;
  std::vector<nn::NamedTensor> held;
};
WrittenModel write_model(const nn::Module& model, const SaveOptions& options);

Model read_model(ByteSpan bytes, const std::string& name);

}  // namespace chainrule::io
