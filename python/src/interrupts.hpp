// Ctrl-C while the library works and calls Python code in between: it waits for a place where the work can be ended.
#pragma once

#include "common.hpp"

namespace chainrule::python {

// In the main thread, and where nobody else handles SIGINT, the first Ctrl-C while one of these lives raises nothing in
// the Python code that the work calls, a callback or a schedule, which would leave it half done: it waits to be heard.
// A second one raises KeyboardInterrupt at once, as asyncio.run does it. One that nobody has heard is raised
// afterwards.
class Interrupts {
 public:
  Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  ~Interrupts();
  static void hear();  // throws what a handler of a signal raises, or KeyboardInterrupt where Ctrl-C waits

 private:
  py::object handler_;  // null where SIGINT was left as it is
};

}  // namespace chainrule::python
