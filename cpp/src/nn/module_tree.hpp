// Walks over a tree of modules, in order (a module before its children), and what its tensors share.
#pragma once

#include <optional>
#include <string>
#include <unordered_set>

#include "chainrule/nn.hpp"

namespace chainrule::nn {

inline std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

// Calls visit(path, module) for every path, a shared module once per place. The root's path is "".
template <class Visit> void each_place(ModuleImpl& module, const std::string& path, const Visit& visit) {
  visit(path, module);
  for (const auto& [name, child] : module.children()) each_place(*child, joined(path, name), visit);
}

// Calls visit(path, module) for every module once, at its first path.
template <class Visit> void each_module(ModuleImpl& root, const Visit& visit) {
  std::unordered_set<const ModuleImpl*> seen;
  const auto walk = [&](auto&& self, ModuleImpl& module, const std::string& path) -> void {
    if (!seen.insert(&module).second) return;
    visit(path, module);
    for (const auto& [name, child] : module.children()) self(self, *child, joined(path, name));
  };
  walk(walk, root, "");
}

std::optional<DType> parameter_dtype(const ModuleImpl& root);  // of the first one; none where there is none
// The handle stays, and so do all that share it; the array behind it becomes a new one.
void change_dtype(const Tensor& tensor, DType dtype);

}  // namespace chainrule::nn
