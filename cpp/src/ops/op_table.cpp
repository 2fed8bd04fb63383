// The registry as plain facts for readers outside the library.
#include "chainrule/registry.hpp"

#include "graph/op.hpp"

namespace chainrule {
namespace {

const char* word(Derivative d) {
  constexpr const char* words[] = {"none",     "zero",      "elementwise", "linear",
                                   "bilinear", "symmetric", "custom",      "composite"};
  return words[static_cast<std::size_t>(d)];
}
const char* word(Batch b) {
  constexpr const char* words[] = {"elementwise", "leading", "rule", "loop"};
  return words[static_cast<std::size_t>(b)];
}
const char* word(AttributeField::Kind k) {
  constexpr const char* words[] = {"list", "real", "integer", "flag", "dtype"};
  return words[static_cast<std::size_t>(k)];
}

}  // namespace

std::vector<OpFacts> op_table() {
  std::vector<OpFacts> table;
  for (const Op& op : all_ops()) {
    OpFacts facts{
        std::string(op.name), std::string(op.doc), op.version,  op.min_inputs, op.max_inputs,  op.outputs,    {},
        word(op.derivative),  word(op.batch),      op.internal, op.pure,       op.elementwise, op.broadcasts, {}};
    for (const AttributeField& field : op.attributes) facts.attributes.emplace_back(field.name, word(field.kind));
    for (int d = 0; d < dtype_count; ++d)
      if (op.kernel[static_cast<std::size_t>(d)] != nullptr) facts.dtypes.push_back(static_cast<DType>(d));
    table.push_back(std::move(facts));
  }
  return table;
}

}  // namespace chainrule
