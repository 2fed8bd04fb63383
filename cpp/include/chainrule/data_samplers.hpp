// Samplers: which rows an epoch takes, and in which order. Without one it takes every row once (data::epoch_order).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "chainrule/tensor.hpp"

namespace chainrule::data {

// For FitOptions::sampler and BatchOptions::sampler. An order depends on nothing but its arguments: fit asks for it
// again where it goes back, and a training by hand asks for the same one.
class CHAINRULE_API Sampler {
 public:
  virtual ~Sampler();
  // Rows of pass `epoch`, size() of them; batches are cut off in this order. Rows may be left out and come repeatedly.
  virtual std::vector<std::int64_t> order(std::uint64_t seed, std::uint64_t epoch, std::int64_t batch_size) const = 0;
  virtual std::int64_t size() const = 0;  // samples in an epoch
  virtual std::int64_t rows() const;      // of the data that it was made for; -1: any number
  // The sampler of these rows, counted from 0: what fit takes after validation_split. Throws where there is none.
  virtual std::shared_ptr<const Sampler> of_rows(std::span<const std::int64_t> rows) const;
  virtual std::string str() const = 0;
};

struct WeightedSamplerOptions {
  std::int64_t num_samples = 0;  // 0: as many as there are rows; without replacement, as have a weight above 0
  bool replacement = true;
};
// Draws rows with probabilities proportional to their weights: with replacement each time from all rows, without it
// from those not drawn yet.
class CHAINRULE_API WeightedSampler : public Sampler {
 public:
  explicit WeightedSampler(std::vector<double> weights, const WeightedSamplerOptions& options = {});
  std::vector<std::int64_t> order(std::uint64_t seed, std::uint64_t epoch, std::int64_t batch_size) const override;
  std::int64_t size() const override { return samples_; }
  std::int64_t rows() const override { return static_cast<std::int64_t>(weights_.size()); }
  std::shared_ptr<const Sampler> of_rows(std::span<const std::int64_t> rows) const override;
  std::string str() const override;

 private:
  std::vector<double> weights_;
  std::vector<double> sums_;  // a binary tree: node i is the sum of nodes 2 i and 2 i + 1, leaves are the weights
  WeightedSamplerOptions options_;
  std::int64_t samples_;
};

// Every row once, such that each batch holds every class by its share: the rows of each class in random order, class
// after class, are dealt to the batches like cards. Batches of one size differ by at most one row of a class.
class CHAINRULE_API StratifiedSampler : public Sampler {
 public:
  explicit StratifiedSampler(const Tensor& labels);  // integers, one per row
  std::vector<std::int64_t> order(std::uint64_t seed, std::uint64_t epoch, std::int64_t batch_size) const override;
  std::int64_t size() const override { return static_cast<std::int64_t>(labels_.size()); }
  std::int64_t rows() const override { return size(); }
  std::shared_ptr<const Sampler> of_rows(std::span<const std::int64_t> rows) const override;
  std::string str() const override;

 private:
  explicit StratifiedSampler(std::vector<std::int64_t> labels);
  std::vector<std::int64_t> labels_;
  std::vector<std::vector<std::int64_t>> rows_of_;  // of each class, ascending
};

}  // namespace chainrule::data
