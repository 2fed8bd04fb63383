// The candidates of a search: all combinations of a grid, or draws from distributions.
#include <cmath>

#include "chainrule/model_selection.hpp"
#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "train/shuffle.hpp"

namespace chainrule {
namespace {

using namespace distributions;

template <class Map> void check_names(const char* op, const Map& map) {
  if (map.empty()) fail<ValueError>(op, "there are no parameters to search over", "", "name some");
  for (std::size_t i = 0; i < map.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (map[i].first == map[j].first) fail<ValueError>(op, "a parameter is given twice", map[i].first);
}

[[noreturn]] void refuse(const std::string& name, const std::string& wrong, const std::string& given) {
  fail<ValueError>("random_search", name + ": " + wrong, given);
}
void check_range(const std::string& name, double low, double high, bool log) {
  const std::string given = "low=" + std::to_string(low) + ", high=" + std::to_string(high);
  if (!std::isfinite(low) || !std::isfinite(high)) refuse(name, "the ends of a distribution must be finite", given);
  if (!(low <= high)) refuse(name, "low must not be above high", given);
  if (log && !(low > 0)) refuse(name, "a logarithmic distribution must begin above 0", given);
}

// u is uniform in [0, 1).
struct Draw {
  const std::string& name;
  data::Words& words;

  nn::ArgumentValue operator()(const Uniform& d) const { return d.low + words.fraction() * (d.high - d.low); }
  nn::ArgumentValue operator()(const LogUniform& d) const { return logarithmic(d.low, d.high); }
  nn::ArgumentValue operator()(const Integer& d) const {
    if (d.log) {
      const double drawn = std::floor(logarithmic(static_cast<double>(d.low), static_cast<double>(d.high) + 1));
      return std::min(static_cast<std::int64_t>(drawn), d.high);
    }
    return d.low + static_cast<std::int64_t>(words.below(static_cast<std::uint64_t>(d.high - d.low) + 1));
  }
  nn::ArgumentValue operator()(const Choice& d) const {
    return d[static_cast<std::size_t>(words.below(static_cast<std::uint64_t>(d.size())))];
  }

 private:
  double logarithmic(double low, double high) const {
    return std::exp(std::log(low) + words.fraction() * (std::log(high) - std::log(low)));
  }
};

struct Check {
  const std::string& name;
  void operator()(const Uniform& d) const { check_range(name, d.low, d.high, false); }
  void operator()(const LogUniform& d) const { check_range(name, d.low, d.high, true); }
  void operator()(const Integer& d) const {
    check_range(name, static_cast<double>(d.low), static_cast<double>(d.high), d.log);
  }
  void operator()(const Choice& d) const {
    if (d.empty()) fail<ValueError>("random_search", name + " has no values to choose from");
  }
};

}  // namespace

std::vector<nn::Arguments> grid_points(const ParameterGrid& grid) {
  check_names("grid_search", grid);
  std::vector<nn::Arguments> points(1);
  for (const auto& [name, values] : grid) {
    if (values.empty()) fail<ValueError>("grid_search", name + " has no values");
    if (points.size() > 1'000'000 / values.size())
      fail<ValueError>("grid_search", "there are more than a million combinations", "", "use random_search");
    std::vector<nn::Arguments> longer;
    for (const nn::Arguments& point : points)
      for (const nn::ArgumentValue& value : values) {
        longer.push_back(point);
        longer.back().emplace_back(name, value);
      }
    points = std::move(longer);
  }
  return points;
}

std::vector<nn::Arguments> random_points(const Distributions& distributions, std::int64_t n, std::uint64_t seed) {
  check_names("random_search", distributions);
  if (n < 1) fail<ValueError>("random_search", "n_iter must be at least 1", std::to_string(n));
  for (const auto& [name, distribution] : distributions) std::visit(Check{name}, distribution);
  const FloatEnvironment environment;
  std::vector<nn::Arguments> points(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < points.size(); ++i) {
    data::Words words(seed, i, data::search_stream);
    for (const auto& [name, distribution] : distributions)
      points[i].emplace_back(name, std::visit(Draw{name, words}, distribution));
  }
  return points;
}

const nn::ArgumentValue& parameter_value(const nn::Arguments& candidate, const std::string& name) {
  std::string known;
  for (const auto& [own, value] : candidate) {
    if (own == name) return value;
    known += (known.empty() ? "" : ", ") + own;
  }
  fail<IndexError>("parameter", "the candidate has none of this name", "\"" + name + "\"", "there are " + known);
}

}  // namespace chainrule
