// The table of ops, as a list of dicts: what the op functions of this package compute with.
#include "chainrule/registry.hpp"

#include "common.hpp"

namespace chainrule::python {

void bind_registry(py::module_& m) {
  m.def(
      "op_table",
      [] {
        py::list rows;
        for (const OpFacts& op : op_table()) {
          py::dict attributes;
          for (const auto& [name, kind] : op.attributes) attributes[py::str(name)] = kind;
          py::list dtypes;
          for (DType dtype : op.dtypes) dtypes.append(std::string(name_of(dtype)));
          rows.append(py::dict("name"_a = op.name, "doc"_a = op.doc, "version"_a = op.version,
                               "min_inputs"_a = op.min_inputs, "max_inputs"_a = op.max_inputs, "outputs"_a = op.outputs,
                               "attributes"_a = attributes, "derivative"_a = op.derivative, "batch"_a = op.batch,
                               "saves"_a = op.saves, "rule"_a = op.rule, "symbol"_a = op.symbol, "flops"_a = op.flops,
                               "internal"_a = op.internal, "pure"_a = op.pure, "elementwise"_a = op.elementwise,
                               "broadcasts"_a = op.broadcasts, "dtypes"_a = dtypes));
        }
        return rows;
      },
      "One dict of facts per op: name, doc, version, inputs, outputs, attributes, kind of derivative, dtypes with a "
      "kernel.");
}

}  // namespace chainrule::python
