// The shape of a sample: from the file a model was loaded from, or from its layers.
#include "io/input_shapes.hpp"

#include "io/loaded_module.hpp"
#include "nn/module_tree.hpp"

namespace chainrule::io {

InputShapes input_shapes(nn::ModuleImpl& root) {
  if (const auto* loaded = dynamic_cast<const LoadedModel*>(&root)) return {loaded->file().input_shapes, false};
  std::optional<std::int64_t> features = root.in_features();
  bool known = true;  // behind a layer that takes any number of features and gives another, no layer tells it
  nn::each_module(root, [&](const std::string&, nn::ModuleImpl& module) {
    if (!features && known) features = module.in_features();
    // Flatten gives as many numbers as it takes; the loaded model takes them in any shape.
    if (module.children().empty() && !module.keeps_features() && module.kind() != "Flatten") known = false;
  });
  if (features) return {{Shape{*features}}, true};
  return {};
}

}  // namespace chainrule::io
