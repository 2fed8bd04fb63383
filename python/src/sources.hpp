// Where fit, evaluate and predict take sources: those of C++, or Python objects with rows and read(first, count).
#pragma once

#include "common.hpp"

namespace chainrule::python {

void bind_sources(py::module_& m);
data::CsvOptions to_csv_options(const char* who, const std::string& delimiter, const std::string& decimal, bool header,
                                const py::object& missing, const std::vector<std::string>& text);
bool is_source(py::handle value);
// who: the call that errors name.
std::shared_ptr<data::Source> to_source(const py::object& source, const char* who);
// For calls that take (X, y) or a source alone: refuses a y beside a source, and a missing one without.
bool is_source_alone(const py::object& x, const py::object& y, const char* who);
// For calls that take (X, y) only: refuses a source, and a missing y.
void check_arrays(const py::object& x, const py::object& y, const char* who);

}  // namespace chainrule::python
