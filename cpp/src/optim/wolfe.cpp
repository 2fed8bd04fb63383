// Bracketing, then zooming by cubic interpolation (Nocedal and Wright, 2006, algorithms 3.5 and 3.6), with PyTorch's
// constants and its rule for trials close to an end of the bracket; they come from minFunc (Schmidt, 2005).
#include "optim/wolfe.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace chainrule::optim {
namespace {

// Where the cubic through two points with their slopes is lowest, held to [least, most]; the middle where it has no
// minimum or a point is infinite.
double lowest_of_cubic(const RayPoint& a, const RayPoint& b, double least, double most) {
  const double middle = (least + most) / 2.0;
  if (std::isinf(a.f) || std::isinf(b.f)) return middle;
  const double d1 = a.slope + b.slope - 3.0 * (a.f - b.f) / (a.t - b.t);
  const double square = d1 * d1 - a.slope * b.slope;
  if (!(square >= 0.0)) return middle;
  const double d2 = std::sqrt(square);
  const double t = a.t <= b.t ? b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2))
                              : a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2.0 * d2));
  return std::isnan(t) ? middle : std::min(std::max(t, least), most);
}

}  // namespace

RaySearch strong_wolfe(const std::function<RayPoint(double t)>& at, const RayPoint& start, double t, double width,
                       std::int64_t most) {
  constexpr double c1 = 1e-4, c2 = 0.9, narrowest = 1e-9;
  RaySearch search;
  const auto look = [&](double where) {
    RayPoint point = at(where);
    ++search.evaluations;
    search.met_infinity |= std::isinf(point.f);
    return point;
  };
  const auto too_high = [&](const RayPoint& p) { return p.f > start.f + c1 * p.t * start.slope; };
  const auto flat_enough = [&](const RayPoint& p) { return std::abs(p.slope) <= -c2 * start.slope; };

  RayPoint before = start, now = look(t);
  std::int64_t tries = 0;
  for (; tries < most; ++tries) {
    if (too_high(now) || (tries > 1 && now.f >= before.f)) break;
    if (flat_enough(now)) {
      search.found = std::move(now);
      return search;
    }
    if (now.slope >= 0.0) break;
    const double next = lowest_of_cubic(before, now, now.t + 0.01 * (now.t - before.t), now.t * 10.0);
    before = std::move(now);
    now = look(next);
  }
  if (tries == most) before = start;

  std::array<RayPoint, 2> ends{std::move(before), std::move(now)};
  std::size_t low = ends[0].f <= ends[1].f ? 0 : 1;
  bool slow = false;  // the last trial was close to an end
  while (tries < most) {
    const double left = std::min(ends[0].t, ends[1].t), right = std::max(ends[0].t, ends[1].t);
    if ((right - left) * width < narrowest) break;
    double next = lowest_of_cubic(ends[0], ends[1], left, right);
    const double margin = 0.1 * (right - left);
    const bool close = std::min(right - next, next - left) < margin;
    if (close && (slow || next >= right || next <= left)) {
      next = std::abs(next - right) < std::abs(next - left) ? right - margin : left + margin;
      slow = false;
    } else {
      slow = close;
    }
    RayPoint point = look(next);
    ++tries;
    if (too_high(point) || point.f >= ends[low].f) {
      ends[1 - low] = std::move(point);
      low = ends[0].f <= ends[1].f ? 0 : 1;
      continue;
    }
    const bool done = flat_enough(point);
    if (!done && point.slope * (ends[1 - low].t - ends[low].t) >= 0.0) ends[1 - low] = std::move(ends[low]);
    ends[low] = std::move(point);
    if (done) break;
  }
  search.found = std::move(ends[low]);
  return search;
}

}  // namespace chainrule::optim
