// How the threads of a team share one instruction: rows, or rows and columns. What they do does not depend on it.
#pragma once

#include "kernels/abi.hpp"

namespace chainrule {

struct Grid {
  int rows = 1, columns = 1;
  int parts() const { return rows * columns; }
};

// What one thread does; columns {0, 0}: all.
struct Part {
  kernels::Range rows, columns;
};

// For at most so many threads, the grid whose largest part costs least. `followers` kernels go over each part behind
// the first one: over some columns row by row, which is a call of them for each.
Grid grid_for(const kernels::Plan& plan, int threads, int followers = 0);

// Parts are numbered along the columns first; behind the last one there is nothing to do.
Part part_of(const kernels::Plan& plan, Grid grid, int part);
// Of some of the plan's rows.
Part part_of(const kernels::Plan& plan, kernels::Range rows, Grid grid, int part);

}  // namespace chainrule
