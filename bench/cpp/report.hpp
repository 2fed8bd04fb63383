// The options that every native benchmark has, and its rows, as a table and as JSON.
#pragma once

#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "machine.hpp"

namespace bench {

using Json = nlohmann::ordered_json;

struct Options {
  std::string json;
  double seconds;
  int repeats;
  std::string filter;
};

// `what` the filter is a part of the name of; none: there is no filter.
inline void add_options(CLI::App& app, Options& options, double seconds, int repeats, const char* what = nullptr) {
  options.seconds = seconds;
  options.repeats = repeats;
  app.add_option("--json", options.json, "write all numbers there; - : to standard output, without the table");
  app.add_option("--seconds", options.seconds, "measured per number, at least")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  if (repeats > 0)
    app.add_option("--repeats", options.repeats, "samples per number; the median is shown")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
  if (what != nullptr) app.add_option("filter", options.filter, std::string("part of the name of ") + what);
}

// `threads` must outlive the app: 1 and all processors, unless the option says otherwise.
inline void add_threads(CLI::App& app, std::vector<int>& threads) {
  threads.assign(1, 1);
  if (processors() > 1) threads.push_back(processors());
  app.add_option("--threads", threads, "numbers of threads (1 and all)")->check(CLI::Range(1, processors()));
}

// Rows are objects with the same keys; text is printed to the left, numbers with four digits.
class Report {
 public:
  Report(const Options& options, std::string title) : options_(options), title_(std::move(title)) {}

  void row(const Json& values) {
    if (options_.json != "-") {
      if (rows_.empty()) head(values);
      for (const auto& [key, value] : values.items())
        if (value.is_string())
          std::printf("%-*s ", wide, value.get_ref<const std::string&>().c_str());
        else if (value.is_number_integer())
          std::printf("%*lld ", column(key), static_cast<long long>(value.get<std::int64_t>()));
        else
          std::printf("%*.4g ", column(key), value.get<double>());
      std::printf("\n");
      std::fflush(stdout);
    }
    rows_.push_back(values);
  }

  // Adds the rows to `all` under `name`.
  void finish(Json& all, const char* name) const {
    if (options_.json != "-" && !rows_.empty()) std::printf("\n");
    all[name] = rows_;
  }

 private:
  static constexpr int wide = 26;
  static int column(const std::string& key) { return std::max(9, static_cast<int>(key.size())); }
  void head(const Json& values) const {
    std::printf("%s\n", title_.c_str());
    for (const auto& [key, value] : values.items())
      std::printf(value.is_string() ? "%-*s " : "%*s ", value.is_string() ? wide : column(key), key.c_str());
    std::printf("\n");
  }

  const Options& options_;
  std::string title_;
  Json rows_ = Json::array();
};

inline void write_json(const Options& options, const Json& all) {
  if (options.json.empty()) return;
  if (options.json == "-") {
    std::cout << all.dump(1) << "\n";
    return;
  }
  std::ofstream file(options.json);
  file << all.dump(1) << "\n";
  if (!file.flush()) throw std::runtime_error("cannot write " + options.json);
}

// The main function of all of them: reads the options, runs, reports errors in one line.
template <class Run> int run_main(CLI::App& app, int argc, char** argv, Run&& run) {
  try {
    app.parse(argc, argv);
    run();
    return 0;
  } catch (const CLI::ParseError& error) { return app.exit(error); } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
}

}  // namespace bench
