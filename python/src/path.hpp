// The name of a file or folder: a str, or what os.fspath takes.
#pragma once

#include "common.hpp"

namespace chainrule::python {

inline std::string path_of(const py::object& path) {
  return py::module_::import("os").attr("fspath")(path).cast<std::string>();
}

}  // namespace chainrule::python
