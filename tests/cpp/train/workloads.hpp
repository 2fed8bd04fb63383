// The networks whose speed the benchmarks compare (bench/peers/workloads.py), for what can be counted of their steps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "chainrule/nn.hpp"
#include "chainrule/optim.hpp"
#include "chainrule/trainer.hpp"

struct Workload {
  std::string name;
  std::vector<std::int64_t> sizes;
  std::int64_t batch;
  bool adam = true;

  chainrule::nn::MLP model() const { return chainrule::nn::MLP(sizes, {.seed = 1}); }
  chainrule::optim::Optimizer optimizer() const {
    if (adam) return chainrule::optim::Adam({.lr = 1e-4});
    return chainrule::optim::SGD({.lr = 1e-2});
  }
};

inline std::vector<Workload> workloads() {
  std::vector<std::int64_t> deep(13, 256);
  deep.push_back(10);
  return {{"tiny", {4, 32, 32, 2}, 32},
          {"digits", {64, 128, 64, 10}, 32},
          {"mnist", {784, 256, 128, 10}, 128},
          {"deep", deep, 256},
          {"wide", {1024, 4096, 4096, 1000}, 512, false}};
}
