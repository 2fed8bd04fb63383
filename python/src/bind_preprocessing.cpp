// Layers fitted to data: constructors with their C++ defaults, fit and fitted.
#include "layer_class.hpp"

namespace chainrule::python {
namespace {

using nn::ModuleImpl;

// fit and fitted, on any of the layers that have them.
template <class C> void bind_fit(C& c) {
  const auto layer_of = [](const py::object& self) {
    return nn::FittedLayer(self.cast<std::shared_ptr<ModuleImpl>>());
  };
  c.def(
      "fit",
      [layer_of](py::object self, const py::object& x) {
        layer_of(self).fit(borrow(x, "fit"));
        return self;
      },
      "X"_a,
      "Take the statistics of these rows, in double; anew where it was fitted before. Returns the layer. On an error\n"
      "nothing changes.");
  c.def_property_readonly(
      "fitted", [layer_of](const py::object& self) { return layer_of(self).fitted(); },
      "Whether it has its statistics; else Trainer.fit fits it on the training rows.");
}

constexpr const char* fit_note =
    "Trainer.fit fits it on the training rows where it is not fitted yet, and leaves it alone where it is. Its\n"
    "statistics are saved with the model.\n\n";

}  // namespace

void bind_preprocessing(py::module_& m) {
  auto standardizer =
      layer<nn::Standardizer>(m, "Standardizer",
                              (std::string("(x - mean) / scale for each column, scale being the root of the variance "
                                           "(divided by n); 1 where all\nvalues are equal.\n\n") +
                               fit_note +
                               ">>> layer = nn.Standardizer(1).fit([[1.0], [3.0]])\n"
                               ">>> layer(np.array([[1.0], [5.0]])).numpy().ravel().tolist()\n"
                               "[-1.0, 3.0]")
                                  .c_str());
  standardizer.def(py::init([](std::int64_t features) { return as_kind(nn::Standardizer(features)); }),
                   "num_features"_a);
  bind_fit(standardizer);
  auto scaler = layer<nn::MinMaxScaler>(
      m, "MinMaxScaler",
      (std::string("Each column's smallest value becomes the low end of feature_range, its largest the high end; equal "
                   "values\nbecome the low end.\n\n") +
       fit_note +
       ">>> layer = nn.MinMaxScaler(1, feature_range=(-1, 1)).fit([[1.0], [3.0]])\n"
       ">>> layer(np.array([[1.0], [2.0], [5.0]])).numpy().ravel().tolist()\n"
       "[-1.0, 0.0, 3.0]")
          .c_str());
  scaler.def(py::init([](std::int64_t features, const std::pair<double, double>& range) {
               return as_kind(nn::MinMaxScaler(features, range.first, range.second));
             }),
             "num_features"_a, py::kw_only(), "feature_range"_a = std::pair(0.0, 1.0));
  bind_fit(scaler);
  const nn::ImputerOptions imputing;
  auto imputer = layer<nn::Imputer>(
      m, "Imputer",
      (std::string(
           "NaN becomes the column's \"mean\", \"median\", \"most_frequent\" value (of several the smallest) or "
           "fill_value with\nstrategy=\"constant\", which needs no fit. add_indicator: behind the columns one "
           "more for each, 1 where a value\nwas missing.\n\n") +
       fit_note +
       ">>> layer = nn.Imputer(1, strategy=\"median\", add_indicator=True).fit([[1.0], [np.nan], [4.0]])\n"
       ">>> layer(np.array([[np.nan], [7.0]])).numpy().tolist()\n"
       "[[2.5, 1.0], [7.0, 0.0]]")
          .c_str());
  imputer.def(py::init([](std::int64_t features, const std::string& strategy, double fill, bool indicator) {
                return as_kind(nn::Imputer(features, {strategy, fill, indicator}));
              }),
              "num_features"_a, py::kw_only(), "strategy"_a = imputing.strategy, "fill_value"_a = imputing.fill_value,
              "add_indicator"_a = imputing.add_indicator);
  bind_fit(imputer);
  auto one_hot = layer<nn::OneHot>(
      m, "OneHot",
      (std::string("Every column becomes one column per category: OneHot([3, 5]) for two columns of at most 3 and 5 "
                   "categories,\nwhich fit finds (ascending), or OneHot([[0, 1, 2], [10, 20]]) with the categories "
                   "themselves.\nhandle_unknown: \"error\", an IndexError; or \"ignore\", zeros.\n\n") +
       fit_note +
       ">>> layer = nn.OneHot([3]).fit([[7], [2], [5]])\n"
       ">>> layer(np.array([[5]])).numpy().tolist()\n"
       "[[0.0, 1.0, 0.0]]")
          .c_str());
  one_hot.def(
      py::init([](const py::object& categories, const std::string& handle_unknown) {
        if (!is_sequence(categories))
          throw DTypeError("OneHot: categories must be a list with one entry per column, got " + type_name(categories));
        bool counts = true;
        for (py::handle entry : categories) counts = counts && PyLong_Check(entry.ptr()) != 0;
        if (counts) return as_kind(nn::OneHot(categories.cast<std::vector<std::int64_t>>(), {handle_unknown}));
        for (py::handle entry : categories)
          if (!is_sequence(entry) && !py::isinstance<py::array>(entry))
            throw DTypeError(
                "OneHot: categories must be one count per column, or one list of categories per column; got " +
                type_name(entry));
        return as_kind(nn::OneHot(categories.cast<std::vector<std::vector<double>>>(), {handle_unknown}));
      }),
      "categories"_a, py::kw_only(), "handle_unknown"_a = nn::OneHotOptions{}.handle_unknown);
  bind_fit(one_hot);
  layer<nn::Columns>(m, "Columns",
                     "These columns of the last axis, in this order: for branches that treat columns differently.\n\n"
                     ">>> nn.Columns([2, 0])(np.array([[1, 2, 3]])).numpy().tolist()\n"
                     "[[3, 1]]")
      .def(py::init([](const std::vector<std::int64_t>& columns) { return as_kind(nn::Columns(columns)); }),
           "columns"_a);
}

}  // namespace chainrule::python
