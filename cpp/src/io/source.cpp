// What every source has: its virtual table, below the sources in files. Source::window is with those who read it.
#include "chainrule/data_sources.hpp"

namespace chainrule::data {

Source::~Source() = default;

}  // namespace chainrule::data
