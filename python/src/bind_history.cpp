// History: one column per quantity, one row per epoch.
#include "bind_diagnostics.hpp"

namespace chainrule::python {
namespace {

py::list column(const History& history, const std::string& name) { return py::cast(history[name]); }

py::list column_names(const History& history) {
  py::list names;
  for (const auto& [name, _] : history.columns()) names.append(name);
  return names;
}

bool has_column(const History& history, const std::string& name) {
  for (const auto& [other, _] : history.columns())
    if (other == name) return true;
  return false;
}

}  // namespace

void bind_history(py::module_& m) {
  py::class_<History>(m, "History", "What happened in each epoch: history[\"loss\"] is a list; printed, it is a table.")
      .def(
          "__getitem__", [](const History& h, const std::string& name) { return column(h, name); }, "name"_a)
      .def("__contains__", &has_column, "name"_a)
      .def(
          "__contains__", [](const History&, const py::object&) { return false; }, "name"_a)
      .def("__len__", [](const History& h) { return h.columns().size(); })
      .def("__iter__", [](const History& h) { return py::iter(column_names(h)); })
      .def("keys", &column_names, "The names of the columns.")
      .def(
          "values",
          [](const History& h) {
            py::list lists;
            for (const auto& [_, values] : h.columns()) lists.append(py::cast(values));
            return lists;
          },
          "The columns.")
      .def(
          "items",
          [](const History& h) {
            py::list items;
            for (const auto& [name, values] : h.columns()) items.append(py::make_tuple(name, values));
            return items;
          },
          "(name, column) pairs.")
      .def(
          "get",
          [](const History& h, const std::string& name, const py::object& otherwise) {
            return has_column(h, name) ? py::object(column(h, name)) : otherwise;
          },
          "name"_a, "default"_a = py::none(), "A column, or the default where it is not there.")
      .def(
          "to_dict",
          [](const History& h) {
            py::dict d;
            for (const auto& [name, values] : h.columns()) d[py::str(name)] = py::cast(values);
            return d;
          },
          "A dict of lists.")
      .def_property_readonly("epochs", &History::epochs, "Number of epochs.")
      .def_readonly("stopped", &History::stopped, "Why training ended early, or an empty string.")
      .def(
          "to_json",
          [](const History& h, const py::object& path) {
            if (!path.is_none()) py::module_::import("chainrule._history").attr("write")(h.json() + "\n", path);
            return h.json();
          },
          "path"_a = py::none(), "The columns as JSON, also written to a file where a path is given.")
      .def(
          "to_csv",
          [](const py::object& self, const py::object& path) {
            py::module_::import("chainrule._history").attr("to_csv")(self, path);
          },
          "path"_a, "Write a table: a line per epoch.")
      .def(
          "to_pandas",
          [](const py::object& self) { return py::module_::import("chainrule._history").attr("to_pandas")(self); },
          "A pandas DataFrame, epochs from 1 as its index.")
      .def(
          "plot",
          [](const py::object& self, const py::object& path, const py::object& metric, const std::string& title) {
            py::module_::import("chainrule._history").attr("plot")(self, path, metric, title);
          },
          "path"_a, py::kw_only(), "metric"_a = py::none(), "title"_a = "",
          "Write a PNG of the loss, and beside it a metric (the first there is), over the epochs. Needs matplotlib.")
      .def(py::pickle([](const History& h) { return py::make_tuple(h.columns(), h.stopped); },
                      [](const py::tuple& state) {
                        History h;
                        for (const auto& [name, values] :
                             state[0].cast<std::vector<std::pair<std::string, std::vector<double>>>>())
                          for (const double value : values) h.append(name, value);
                        h.stopped = state[1].cast<std::string>();
                        return h;
                      }))
      .def("__str__", &History::str)
      .def("__repr__",
           [](const History& h) {
             std::string names;
             for (const auto& [name, _] : h.columns()) names += (names.empty() ? "" : ", ") + name;
             return "History(" + std::to_string(h.epochs()) + " epochs: " + names + ")";
           })
      .def("_repr_html_", [](const History& h) { return preformatted(h.str()); });
}

}  // namespace chainrule::python
