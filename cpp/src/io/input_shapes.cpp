// The shape of a sample: from the file a model was loaded from, or from its layers.
#include "io/input_shapes.hpp"

#include "io/loaded_module.hpp"
#include "nn/module_tree.hpp"

namespace chainrule::io {

InputShapes input_shapes(nn::ModuleImpl& root) {
  if (const auto* loaded = dynamic_cast<const LoadedModel*>(&root)) return {loaded->file().input_shapes, false};
  std::optional<std::int64_t> features = root.in_features();
  nn::each_module(root, [&](const std::string&, nn::ModuleImpl& module) {
    if (!features) features = module.in_features();
  });
  if (features) return {{Shape{*features}}, true};
  return {};
}

}  // namespace chainrule::io
