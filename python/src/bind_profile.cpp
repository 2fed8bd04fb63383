// Profiles of compiled programs.
#include "chainrule/profile.hpp"

#include "common.hpp"

namespace chainrule::python {

void bind_profile(py::module_& m) {
  py::class_<ProfileRow>(m, "ProfileRow", "Instructions that run together: an op and the elementwise chain behind it.")
      .def_readonly("ops", &ProfileRow::ops, "Their names.")
      .def_readonly("scope", &ProfileRow::scope, "The layer's path, or an empty text.")
      .def_readonly("microseconds", &ProfileRow::microseconds, "Median per run.")
      .def_readonly("flops", &ProfileRow::flops, "Floating-point operations per run.")
      .def_readonly("bytes", &ProfileRow::bytes, "Bytes of all operands, read and written.")
      .def_readonly("limit", &ProfileRow::limit, "Microseconds by arithmetic or memory alone, whichever is longer.")
      .def_readonly("shared", &ProfileRow::shared, "Whether a team of threads shares it.")
      .def("__repr__", [](const ProfileRow& row) {
        return "ProfileRow(" + row.ops + ", " + std::to_string(row.microseconds) + " us)";
      });
  py::class_<Profile>(m, "Profile", "Where the time of a compiled program goes. Prints as a table.")
      .def_readonly("rows", &Profile::rows, "One ProfileRow per group of instructions, in order.")
      .def_readonly("runs", &Profile::runs, "Runs measured.")
      .def_readonly("threads", &Profile::threads, "Threads of the team.")
      .def_readonly("microseconds", &Profile::microseconds, "Of one run: the rows together.")
      .def_readonly("peak", &Profile::peak, "Measured multiply-adds of float32 on one core, GFLOP/s.")
      .def_readonly("bandwidth", &Profile::bandwidth, "Measured copy within the cache on one core, GB/s.")
      .def("__repr__", &Profile::str)
      .def("_repr_html_", [](const Profile& profile) { return preformatted(profile.str()); });
}

}  // namespace chainrule::python
