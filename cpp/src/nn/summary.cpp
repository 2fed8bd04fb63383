// summary(): a table of a model's layers.
#include <algorithm>
#include <array>
#include <unordered_map>

#include "core/fail.hpp"
#include "nn/module_tree.hpp"

namespace chainrule::nn {
namespace {

std::string with_commas(std::int64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

using Row = std::array<std::string, 4>;

std::string table(const std::vector<Row>& rows) {
  std::array<std::size_t, 4> width{};
  for (const Row& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string space(width[i] - row[i].size(), ' ');
      text += i < 2 ? row[i] + space : space + row[i];  // numbers to the right
      text += i + 1 < row.size() ? "  " : "\n";
    }
    if (&row == &rows.front()) text += std::string(width[0] + width[1] + width[2] + width[3] + 6, '-') + "\n";
  }
  return text;
}

std::int64_t count(const std::vector<NamedTensor>& tensors) {
  std::int64_t n = 0;
  for (const NamedTensor& own : tensors) n += own.tensor.size();
  return n;
}

}  // namespace

std::string Module::summary() const {
  if (!impl_) fail<StateError>("summary", "there is no layer in it");
  std::vector<Row> rows{{"path", "layer", "output", "parameters"}};
  std::unordered_map<const ModuleImpl*, std::string> first;
  std::optional<std::int64_t> features;
  const auto walk = [&](auto&& self, ModuleImpl& module, const std::string& path) -> void {
    const bool leaf = module.children().empty();
    const auto [known, fresh] = first.try_emplace(&module, path);
    if (module.out_features())
      features = module.out_features();
    else if (!module.keeps_features())
      features = {};
    if (leaf || !fresh || !module.own_parameters().empty())
      rows.push_back(
          {path.empty() ? "-" : path, fresh ? (leaf ? module.repr() : module.kind()) : "the same as " + known->second,
           features ? std::to_string(*features) : "", fresh ? with_commas(count(module.own_parameters())) : "0"});
    if (!fresh) return;
    for (const auto& [name, child] : module.children()) self(self, *child, joined(path, name));
  };
  walk(walk, *impl_, "");

  std::int64_t total = 0, trainable = 0;
  std::size_t bytes = 0;
  for (const Tensor& parameter : parameters()) {
    total += parameter.size();
    if (parameter.requires_grad()) trainable += parameter.size();
    bytes += static_cast<std::size_t>(parameter.size()) * size_of(parameter.dtype());
  }
  std::string text = table(rows) + with_commas(total) + " parameters";
  if (trainable != total) text += ", " + with_commas(trainable) + " trainable";
  const std::int64_t buffers = count(named_buffers());
  if (buffers > 0) text += ", " + with_commas(buffers) + " numbers in buffers";
  return text + ", " + with_commas(static_cast<std::int64_t>(bytes)) + " bytes as " + std::string(name_of(dtype()));
}

}  // namespace chainrule::nn
