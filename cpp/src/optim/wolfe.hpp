// The line search of L-BFGS: a point on a ray that meets the strong Wolfe conditions.
#pragma once

#include <cstdint>
#include <functional>

#include "optim/flat.hpp"

namespace chainrule::optim {

// The loss at x + t d, its derivative by t, and the gradient; f is infinite where one of them is not finite.
struct RayPoint {
  double t = 0, f = 0, slope = 0;
  Vector gradient{};
};

struct RaySearch {
  RayPoint found;
  std::int64_t evaluations = 0;
  bool met_infinity = false;
};

// From `start` (t = 0) with the first try at t: f(t) <= f(0) + 1e-4 t f'(0) and |f'(t)| <= 0.9 |f'(0)|. Where `most`
// further tries do not get there, or the bracket is narrower than 1e-9 / width (width: the largest |d_i|), the lowest
// point seen. Never one that is not finite.
RaySearch strong_wolfe(const std::function<RayPoint(double t)>& at, const RayPoint& start, double t, double width,
                       std::int64_t most);

}  // namespace chainrule::optim
