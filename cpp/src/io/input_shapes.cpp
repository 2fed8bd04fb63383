// The shape of a sample: as the model was trained or saved with it, or from its layers.
#include "io/input_shapes.hpp"

#include "nn/module_tree.hpp"

namespace chainrule::io {

InputShapes input_shapes(const nn::Module& model) {
  nn::ModuleImpl& root = *model.impl();
  std::optional<std::int64_t> features = root.in_features();
  bool known = true;  // behind a layer that takes any number of features and gives another, no layer tells it
  nn::each_module(root, [&](const std::string&, nn::ModuleImpl& module) {
    if (!features && known) features = module.in_features();
    // A flattening layer before it: the saved model takes the numbers in any shape.
    if (module.children().empty() && !module.keeps_features() && !module.only_reshapes()) known = false;
  });
  if (!model.sample_shapes().empty()) return {model.sample_shapes(), false};
  if (features) return {{Shape{*features}}, true};
  return {};
}

}  // namespace chainrule::io
