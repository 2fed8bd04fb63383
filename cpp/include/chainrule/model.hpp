// The model file: safetensors whose metadata holds the graphs, the layer tree, the loss and how the model was trained.
// Python and C++ write and read the same file. Loading executes nothing and trusts nothing.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "chainrule/data.hpp"
#include "chainrule/nn.hpp"
#include "chainrule/tensor.hpp"

namespace chainrule {

// A loaded model: a Module that runs the graphs in the file, in eval mode at first; it trains on like any other.
class CHAINRULE_API Model : public nn::Module {
 public:
  using nn::Module::Module;
  const data::Schema* schema() const;  // columns of the table it was trained on, if any
  std::string training_json() const;   // how it was trained, as JSON; "{}" if unknown
};

struct SaveOptions {
  const data::Schema* schema = nullptr;  // none: that of the file the model was loaded from, if any
  std::string training_json = "{}";      // a JSON object: how it was trained; empty: as for schema
  Shape input_shape{};                   // of one sample; found from training or the layers where left empty
  std::vector<Shape> input_shapes{};     // for a model of several inputs, or of samples that are single numbers
};
// Traces the model in train and in eval mode at three batch sizes; nothing in the model changes. The file is written
// atomically. Throws ValueError, naming the op, where a batch size leaked into the model as a constant; StateError
// where input_shape is needed; FileError.
CHAINRULE_API void save(const nn::Module& model, const std::string& path, const SaveOptions& options);
CHAINRULE_API std::string to_bytes(const nn::Module& model, const SaveOptions& options);
CHAINRULE_API Model load(const std::string& path);
CHAINRULE_API Model loads(std::span<const unsigned char> bytes, const std::string& name = "bytes");

}  // namespace chainrule
