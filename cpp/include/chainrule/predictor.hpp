// Predictor: a model compiled for one number of samples, with a copy of its weights laid out for reading. A call
// allocates nothing, locks nothing and, for one sample, uses no thread but the caller's.
#pragma once

#include <concepts>
#include <functional>
#include <initializer_list>
#include <memory>
#include <ranges>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "chainrule/data_sources.hpp"
#include "chainrule/nn.hpp"
#include "chainrule/profile.hpp"
#include "chainrule/tensor.hpp"
#include "chainrule/transforms.hpp"

namespace chainrule {

struct PredictorOptions {
  std::string output = "raw";         // or "proba", "class": of the first output, by the model's link, as in predict
  Shape input_shape{};                // of one sample; found from the layers or the file where left empty
  std::vector<Shape> input_shapes{};  // for a model of several inputs
  std::vector<DType> input_dtypes{};  // one per input; left empty: the model's (a mask is DType::boolean)
};

// Runs in eval mode, whatever the model's flag says. Copies share the weights and have a workspace of their own: one
// for each thread that predicts at the same time. Values are those of Module::predict, bit by bit.
class CHAINRULE_API Predictor {
 public:
  // Memory of the caller, samples one after the other: a span, a vector or an array.
  struct In {
    In(const void* values, std::size_t count, DType type) : data(values), size(count), dtype(type) {}
    template <std::ranges::contiguous_range R>
      requires Scalar<std::ranges::range_value_t<R>>
    In(const R& values)
        : data(std::ranges::data(values)),
          size(std::ranges::size(values)),
          dtype(dtype_of<std::ranges::range_value_t<R>>) {}
    const void* data;
    std::size_t size;
    DType dtype;
  };
  struct Out {
    Out(void* values, std::size_t count, DType type) : data(values), size(count), dtype(type) {}
    template <std::ranges::contiguous_range R>
      requires(Scalar<std::ranges::range_value_t<R>> &&
               !std::is_const_v<std::remove_reference_t<std::ranges::range_reference_t<R>>>)
    Out(R&& values)
        : data(std::ranges::data(values)),
          size(std::ranges::size(values)),
          dtype(dtype_of<std::ranges::range_value_t<R>>) {}
    void* data;
    std::size_t size;
    DType dtype;
  };

  // Throws StateError where the shape of a sample is not known, ValueError, and what the model throws when called.
  explicit Predictor(const nn::Module& model, std::int64_t batch = 1, const PredictorOptions& options = {});
  Predictor(const Predictor& other);
  Predictor& operator=(const Predictor& other);
  Predictor(Predictor&&) noexcept;
  Predictor& operator=(Predictor&&) noexcept;
  ~Predictor();

  // All `batch` samples; dtypes are those of the program. ShapeError, DTypeError.
  void operator()(In in, Out out) { run({&in, 1}, {&out, 1}); }
  void operator()(std::initializer_list<In> in, std::initializer_list<Out> out) {
    run({in.begin(), in.size()}, {out.begin(), out.size()});
  }
  void run(std::span<const In> in, std::span<const Out> out);

  // x is one sample (where batch is 1) or has the batch as its first axis, and so has the result; other dtypes are
  // converted. A new tensor, or what the caller gives: the latter allocates nothing where no dtype is converted.
  Tensor operator()(const Tensor& x);
  std::vector<Tensor> operator()(const std::vector<Tensor>& x);
  void operator()(const std::vector<Tensor>& x, const std::vector<OutputView>& out);

  // Takes the model's present weights, for all copies, none of which may be running. StateError where layers or tensors
  // of the model were exchanged, or its dtype changed; then the weights stay as they were. Allocates nothing.
  void refresh();

  std::int64_t batch() const;
  std::vector<Shape> input_shapes() const;  // with the batch
  std::vector<Shape> output_shapes() const;
  std::vector<DType> input_dtypes() const;
  std::vector<DType> output_dtypes() const;
  double estimated_microseconds() const;  // of a call, roughly, before it was ever made
  Profile profile(int runs = 1000);       // where the time of a call goes
  std::string str() const;

 private:
  struct Shared;
  struct Own;
  void check_alive() const;
  bool arrange(const std::vector<Tensor>& x, std::vector<Tensor>& in) const;
  template <class Source, class Target> void execute(const Source& source, const Target& target);

  std::shared_ptr<Shared> shared_;
  std::unique_ptr<Own> own_;
};

// All outputs of a model of any number of inputs, for whole sets; otherwise as model.predict, where "proba" and "class"
// are of the first output.
CHAINRULE_API std::vector<Tensor> predict(const nn::Module& model, const std::vector<Tensor>& x,
                                          std::int64_t batch_size = 1024, const std::string& output = "raw");
// The same of a source, which needs no targets, in batches of at most a window. on_wait: as in FitOptions; false:
// StateError.
CHAINRULE_API std::vector<Tensor> predict(const nn::Module& model, const std::shared_ptr<data::Source>& source,
                                          std::int64_t batch_size = 1024, const std::string& output = "raw",
                                          const std::function<bool()>& on_wait = {});

}  // namespace chainrule
