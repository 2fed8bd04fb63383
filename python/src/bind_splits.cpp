// Splits of data: parts, and folds for cross-validation.
#include "common.hpp"

namespace chainrule::python {

py::array to_array(const std::vector<std::int64_t>& values) {
  return py::array_t<std::int64_t>(static_cast<py::ssize_t>(values.size()), values.data());
}

Tensor to_labels(const py::object& values, const char* op, const char* what) {
  if (values.is_none()) return {};
  const py::module_ numpy = py::module_::import("numpy");
  py::array array = numpy.attr("asarray")(values);
  const char kind = array.dtype().kind();
  if (kind == 'f' || kind == 'c')
    throw DTypeError(std::string(op) + ": " + what + " holds no labels: its dtype is " +
                     std::string(py::str(array.dtype())) + "; use astype(\"int64\")");
  if (kind != 'i' && kind != 'u' && kind != 'b')  // words, dates, objects
    array = numpy.attr("unique")(array, "return_inverse"_a = true).cast<py::tuple>()[1].cast<py::array>();
  else if (kind == 'u' && array.itemsize() > 1)
    array = array.attr("astype")("int64").cast<py::array>();
  return to_tensor(array, op);
}

Tensor to_stratify(const py::object& stratify, const py::object& y, std::int64_t rows, const char* op) {
  if (stratify.is_none() || stratify.ptr() == Py_False) return {};
  if (stratify.ptr() == Py_True) {
    if (y.is_none()) throw ValueError(std::string(op) + ": stratify=True goes by y, and there is none; give labels");
    return to_labels(y, op, "y");
  }
  if (!py::isinstance<py::str>(stratify)) return to_labels(stratify, op, "stratify");
  if (stratify.cast<std::string>() != "auto")
    throw ValueError(std::string(op) + ": stratify must be \"auto\", True, False or labels, got \"" +
                     stratify.cast<std::string>() + "\"");
  if (y.is_none()) return {};
  const char kind = py::module_::import("numpy").attr("asarray")(y).cast<py::array>().dtype().kind();
  return kind == 'f' || kind == 'c' ? Tensor() : data::labels_to_stratify(to_labels(y, op, "y"), rows);
}

namespace {

py::list to_pairs(const std::vector<data::Fold>& folds) {
  py::list pairs;
  for (const data::Fold& fold : folds) pairs.append(py::make_tuple(to_array(fold.train), to_array(fold.validation)));
  return pairs;
}

// Rows of an array, a frame, or each of a tuple of them.
py::object rows_of(const py::object& x, const py::array& rows) {
  if (py::isinstance<py::tuple>(x)) {
    py::list parts;
    for (py::handle part : x) parts.append(rows_of(py::reinterpret_borrow<py::object>(part), rows));
    return py::tuple(parts);
  }
  if (py::hasattr(x, "iloc")) return x.attr("iloc")[rows];
  return py::module_::import("numpy").attr("asarray")(x)[rows];
}

std::int64_t count_rows(const py::object& x, const py::object& y) {
  const py::object first = py::isinstance<py::tuple>(x) && py::len(x) > 0 ? py::object(x[py::int_(0)]) : x;
  const auto n = static_cast<std::int64_t>(py::len(first)), targets = static_cast<std::int64_t>(py::len(y));
  if (n != targets)
    throw ShapeError("split_data: X and y differ in length: X has " + std::to_string(n) + " rows, y has " +
                     std::to_string(targets) + "; give one target per row");
  return n;
}

py::tuple split_data(const py::object& x, const py::object& y, double test, double validation,
                     const py::object& stratify, const py::object& groups, const py::object& seed) {
  const std::int64_t n = count_rows(x, y);
  data::SplitOptions options;
  options.test = test, options.validation = validation;
  options.groups = to_labels(groups, "split_data", "groups");
  const bool chosen = py::isinstance<py::str>(stratify);  // "auto" gives way to groups
  if (!chosen || !options.groups.defined()) options.stratify = to_stratify(stratify, y, 2, "split_data");
  options.seed = to_seed(seed, "split_data");
  const data::Parts parts = data::split_parts(n, options);
  py::list pairs;
  for (const data::Rows* rows : {&parts.train, &parts.validation, &parts.test})
    if (!rows->empty()) pairs.append(py::make_tuple(rows_of(x, to_array(*rows)), rows_of(y, to_array(*rows))));
  return py::tuple(pairs);
}

}  // namespace

void bind_splits(py::module_& m) {
  m.def(
      "split_rows",
      [](std::int64_t n, double fraction, const py::object& seed, const py::object& stratify) {
        auto [train, rest] =
            data::split_rows(n, fraction, to_seed(seed, "split_rows"), to_labels(stratify, "split_rows", "stratify"));
        return py::make_tuple(to_array(train), to_array(rest));
      },
      "n"_a, "fraction"_a, py::kw_only(), "seed"_a = 0, "stratify"_a = py::none(),
      "(train rows, held-out rows): row numbers shuffled by seed; stratify=labels keeps the share of each class.");
  const data::SplitOptions split;
  m.def(
      "split_data", &split_data, "X"_a, "y"_a, py::kw_only(), "test"_a = split.test, "validation"_a = split.validation,
      "stratify"_a = "auto", "groups"_a = py::none(), "seed"_a = split.seed,
      "Split data into parts: (train, test), or (train, validation, test) where validation is given, each a pair "
      "(X, y).\n\n"
      "test and validation are shares of all rows; a share of 0 leaves that part out. stratify: every part keeps "
      "each class's\n"
      "share of the rows, by y where it holds labels (\"auto\"), always (True), never (None), or by the labels given. "
      "groups: one\n"
      "label per row; rows of a group stay together, and the parts come as near to their shares as whole groups "
      "allow. X may be\n"
      "an array, a frame or a tuple of inputs. Rows keep their order; which ones go where is chosen by seed. Raises "
      "ValueError\n"
      "where a part would be empty, or where stratify and groups are both given.\n\n"
      ">>> X, y = np.zeros((100, 3)), np.arange(100) % 4\n"
      ">>> train, validation, test = data.split_data(X, y, test=0.2, validation=0.1)\n"
      ">>> [len(part[1]) for part in (train, validation, test)]\n[70, 10, 20]\n"
      ">>> np.bincount(test[1])\narray([5, 5, 5, 5])");
  const data::KFoldOptions fold;
  m.def(
      "k_fold",
      [](std::int64_t n, std::int64_t k, const py::object& stratify, const py::object& groups, std::int64_t repeats,
         bool shuffle, const py::object& seed) {
        return to_pairs(
            data::k_fold(n, {k, to_labels(stratify, "k_fold", "stratify"), to_labels(groups, "k_fold", "groups"),
                             repeats, shuffle, to_seed(seed, "k_fold")}));
      },
      "n"_a, "k"_a = fold.k, py::kw_only(), "stratify"_a = py::none(), "groups"_a = py::none(),
      "repeats"_a = fold.repeats, "shuffle"_a = fold.shuffle, "seed"_a = fold.seed,
      "Folds for cross-validation: k pairs (train rows, validation rows), in which each of n rows is held out once.\n\n"
      "stratify: one label per row; each class is spread over the folds evenly, to within one row. groups: one label "
      "per row;\n"
      "rows of a group are held out together. Both: groups stay whole, and go where the shares of classes stay most "
      "even.\n"
      "repeats: so many times k folds, each time of another order. With shuffle=False the folds are those of "
      "scikit-learn's\n"
      "KFold, StratifiedKFold, GroupKFold and StratifiedGroupKFold. Raises ValueError where a fold would be empty, or "
      "no class has\n"
      "k rows.\n\n"
      ">>> [held_out.tolist() for _, held_out in data.k_fold(5, 2, shuffle=False)]\n[[0, 1, 2], [3, 4]]");
  const data::TimeSeriesOptions time;
  m.def(
      "time_series_folds",
      [](std::int64_t n, std::int64_t k, std::int64_t validation, std::int64_t gap, std::int64_t train) {
        return to_pairs(data::time_series_folds(n, {k, validation, gap, train}));
      },
      "n"_a, "k"_a = time.k, py::kw_only(), "validation"_a = time.validation, "gap"_a = time.gap,
      "train"_a = time.train,
      "Folds of rows in order of time: what comes later is held out, what comes before trains (scikit-learn's "
      "TimeSeriesSplit).\n\n"
      "validation: rows held out in each fold (0: n // (k + 1)); gap: rows left out between the two; train: only the "
      "latest so\n"
      "many rows train (0: all before).\n\n"
      ">>> [(len(train), held_out.tolist()) for train, held_out in data.time_series_folds(7, 3)]\n"
      "[(4, [4]), (5, [5]), (6, [6])]");
}

}  // namespace chainrule::python
