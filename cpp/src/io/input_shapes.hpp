// What a model tells about the samples it takes.
#pragma once

#include <vector>

#include "chainrule/nn.hpp"

namespace chainrule::io {

struct InputShapes {
  std::vector<Shape> shapes;  // of one sample; none: the model does not tell
  bool guessed = false;       // from the first layer that has a number of inputs, not from training or a file
};
InputShapes input_shapes(const nn::Module& model);

}  // namespace chainrule::io
