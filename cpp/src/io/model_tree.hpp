// The tree of modules in a model file: kinds, arguments and which tensor belongs where, as JSON.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "chainrule/nn.hpp"
#include "io/json.hpp"
#include "io/loaded_module.hpp"

namespace chainrule::io {

Json tree_to_json(const nn::Module& model);

// Builds the modules below and including the root, whose type `make_root` decides. tensors: by path; each must be used.
// Throws JsonError.
std::shared_ptr<LoadedModel> tree_from_json(const JsonView& view, const std::map<std::string, Tensor>& tensors,
                                            std::shared_ptr<const LoadedFacts> file);

}  // namespace chainrule::io
