// Modules, layers and initializers. A Module is a handle: copies share the layer, two parents share it too.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "chainrule/arguments.hpp"
#include "chainrule/tensor.hpp"

namespace chainrule {
class Loss;
namespace nn {

struct NamedTensor {
  std::string name;  // a path: "0.weight"
  Tensor tensor;
};

// What a module is made of. Derive from it (or from Layer) to define one in C++: register parameters, buffers and
// children in the constructor, write forward with op functions. It holds no activations.
class CHAINRULE_API ModuleImpl : public std::enable_shared_from_this<ModuleImpl> {
 public:
  using CloneChild = std::function<std::shared_ptr<ModuleImpl>(const std::shared_ptr<ModuleImpl>&)>;

  ModuleImpl() = default;
  virtual ~ModuleImpl();
  ModuleImpl(const ModuleImpl&) = delete;
  ModuleImpl& operator=(const ModuleImpl&) = delete;

  virtual std::vector<Tensor> forward(const std::vector<Tensor>& inputs) = 0;
  virtual std::string kind() const = 0;                                    // "Linear"
  virtual Arguments arguments() const { return {}; }                       // what rebuilds it, with kind()
  virtual std::string repr_arguments() const;                              // "784, 10": as the constructor was called
  virtual std::optional<std::int64_t> in_features() const { return {}; }   // of the last axis; none: any
  virtual std::optional<std::int64_t> out_features() const { return {}; }  // of the last axis; none: see below
  virtual bool keeps_features() const { return false; }  // as many come out as go in; otherwise none is "unknown"
  virtual bool only_reshapes() const { return false; }   // a sample has the same numbers in another shape
  // Draws this layer's own parameters anew from (key, stream, stream + 1, ...) and puts its buffers back to their
  // start; the children's are not touched. By default the parameters, too, return to what they were registered with.
  virtual void init_own(std::uint64_t key, std::uint32_t stream);
  // A module of the same kind with parameters, buffers and children of its own; clone() then copies the values.
  // Built-in kinds are rebuilt from their arguments. One's own kind overrides it, mostly with make_shared of itself;
  // whoever takes over children gets their copies from clone_child, which copies a shared one once.
  virtual std::shared_ptr<ModuleImpl> clone_structure(const CloneChild& clone_child) const;

  // Calls forward under this module's name in error messages, and keys dropout when it is the outermost call. The
  // outermost call also converts numeric inputs to the model's dtype.
  std::vector<Tensor> call(const std::vector<Tensor>& inputs);
  std::string repr() const;

  // A name is unique in this module, and no part of it between dots is empty: "weight", "blocks.0". keep_start: a copy
  // of the value is kept for init_own; layers that draw their own do without.
  Tensor& add_parameter(std::string name, Tensor value, bool keep_start = true);  // sets requires_grad
  Tensor& add_buffer(std::string name, Tensor value);
  void add_child(std::string name, std::shared_ptr<ModuleImpl> child);
  void remove(const std::string& name);  // a parameter, buffer or child; does nothing where there is none

  std::vector<NamedTensor>& own_parameters() { return parameters_; }
  std::vector<NamedTensor>& own_buffers() { return buffers_; }
  const std::vector<NamedTensor>& own_parameters() const { return parameters_; }
  const std::vector<NamedTensor>& own_buffers() const { return buffers_; }
  const std::vector<std::pair<std::string, std::shared_ptr<ModuleImpl>>>& children() const { return children_; }
  bool training() const;       // its own flag, unless fit or predict is running
  void set_training(bool on);  // children too

 private:
  friend class Module;
  friend class Cloner;
  void check_name(const std::string& name, const char* op) const;

  std::vector<NamedTensor> parameters_, buffers_;
  std::vector<NamedTensor> starts_;  // what init_own puts back
  std::vector<std::pair<std::string, std::shared_ptr<ModuleImpl>>> children_;
  std::string link_ = "identity";       // of the root
  std::vector<Shape> sample_shapes_{};  // of the root
  bool training_ = true;
  std::uint32_t calls_ = 0;  // train-mode calls as the outermost module: the step of dropout's counter
};

// A module of one input and one output.
class CHAINRULE_API Layer : public ModuleImpl {
 public:
  virtual Tensor forward(const Tensor& x) = 0;
  std::vector<Tensor> forward(const std::vector<Tensor>& inputs) final;
};

class CHAINRULE_API Module {
 public:
  Module() = default;
  explicit Module(std::shared_ptr<ModuleImpl> impl) : impl_(std::move(impl)) {}

  Tensor operator()(const Tensor& x) const;
  std::vector<Tensor> operator()(const std::vector<Tensor>& inputs) const;

  // Draws all parameters anew: the i-th layer that owns any is keyed by (seed, i). Buffers return to their start.
  Module& init(std::uint64_t seed);
  Module& train(bool on = true);
  Module& eval() { return train(false); }
  bool training() const;
  std::vector<Tensor> parameters() const;             // each once, in order
  std::vector<NamedTensor> named_parameters() const;  // each once, by its first path
  std::vector<NamedTensor> named_buffers() const;
  std::vector<NamedTensor> state_dict() const;  // copies of parameters and buffers
  // Copies values in by name; layout "torch": Linear weights are (out, in). The error lists every difference, and
  // nothing is changed when there is one.
  void load_state_dict(const std::vector<NamedTensor>& state, const std::string& layout = "chainrule");
  // In place, by name and shape: the values of source (target networks), or of this + weight * (source - this); buffers
  // are copied by both. ValueError lists the differences, and nothing is changed when there is one.
  void copy_(const Module& source);
  void lerp_(const Module& source, double weight);
  // Own parameters with the same values; what is shared inside stays shared inside.
  Module clone() const;
  Module& astype(DType dtype);  // parameters and buffers; one model has one dtype
  DType dtype() const;          // float32 where it has no parameters
  Tensor predict(const Tensor& x, std::int64_t batch_size = 1024, const std::string& output = "raw") const;
  std::string summary() const;               // a table: path, layer, output features, parameters
  std::string str() const;                   // as in Python's repr
  void save(const std::string& path) const;  // see model.hpp
  std::string to_bytes() const;

  // How outputs become probabilities: "softmax", "sigmoid", "exp" (they are log-probabilities), "probability" (they are
  // the probabilities of class 1), or not: "argmax" and "sign" (scores with classes), "identity". The Trainer sets it
  // from its loss.
  const std::string& link() const;
  void set_link(const std::string& link);
  // Of each input, the shape of one sample; empty: not known. The Trainer sets them, and a file keeps them.
  const std::vector<Shape>& sample_shapes() const;
  void set_sample_shapes(std::vector<Shape> shapes);

  const std::shared_ptr<ModuleImpl>& impl() const { return impl_; }
  ModuleImpl* operator->() const { return impl_.get(); }

 protected:
  std::shared_ptr<ModuleImpl> impl_;
};

struct LinearOptions {
  bool bias = true;
  DType dtype = DType::float32;
  std::optional<std::uint64_t> seed{};
};
// y = x W + b: x (..., in), W (in, out), b (out). Weights and bias are drawn from U(-1/sqrt(in), 1/sqrt(in)).
class CHAINRULE_API Linear : public Module {
 public:
  Linear(std::int64_t in_features, std::int64_t out_features, const LinearOptions& options = {});
  Tensor weight() const;
  Tensor bias() const;  // undefined without one
};

#define CHAINRULE_SIMPLE_LAYER(Name)         \
  class CHAINRULE_API Name : public Module { \
   public:                                   \
    Name();                                  \
  };
CHAINRULE_SIMPLE_LAYER(ReLU)      // max(x, 0)
CHAINRULE_SIMPLE_LAYER(Sigmoid)   // 1 / (1 + e^-x)
CHAINRULE_SIMPLE_LAYER(Tanh)      // tanh x
CHAINRULE_SIMPLE_LAYER(SiLU)      // x / (1 + e^-x)
CHAINRULE_SIMPLE_LAYER(Softplus)  // log(1 + e^x)
CHAINRULE_SIMPLE_LAYER(SELU)      // s x where x > 0, else s a (e^x - 1), with a and s of Klambauer et al. (2017)
CHAINRULE_SIMPLE_LAYER(Mish)      // x tanh(log(1 + e^x)) (Misra, 2019)
CHAINRULE_SIMPLE_LAYER(Softsign)  // x / (1 + |x|)
CHAINRULE_SIMPLE_LAYER(Identity)  // x
CHAINRULE_SIMPLE_LAYER(Flatten)   // (batch, ...) -> (batch, product)
#undef CHAINRULE_SIMPLE_LAYER
class CHAINRULE_API LeakyReLU : public Module {  // x where x > 0, else negative_slope x
 public:
  explicit LeakyReLU(double negative_slope = 0.01);
};
class CHAINRULE_API ELU : public Module {  // x where x > 0, else alpha (e^x - 1)
 public:
  explicit ELU(double alpha = 1.0);
};
class CHAINRULE_API GELU : public Module {  // x Phi(x), Phi the standard normal distribution function
 public:
  explicit GELU(const std::string& approximate = "none");  // or "tanh": its tanh approximation
};
class CHAINRULE_API Hardtanh : public Module {  // x held to [min_val, max_val]
 public:
  explicit Hardtanh(double min_val = -1.0, double max_val = 1.0);
};
class CHAINRULE_API GLU : public Module {  // a sigmoid(b), a and b being the halves of x along an axis
 public:
  explicit GLU(int axis = -1);
};
struct PReLUOptions {
  std::int64_t num_parameters = 1;  // or one per feature
  double init = 0.25;
  DType dtype = DType::float32;
};
class CHAINRULE_API PReLU : public Module {  // x where x > 0, else weight x (He et al., 2015)
 public:
  explicit PReLU(const PReLUOptions& options = {});
};
class CHAINRULE_API Softmax : public Module {  // e^x / sum e^x along an axis
 public:
  explicit Softmax(int axis = -1);
};
class CHAINRULE_API LogSoftmax : public Module {  // x - log sum e^x along an axis
 public:
  explicit LogSoftmax(int axis = -1);
};
// In train mode zeroes each element with probability p and divides the others by 1 - p, so that the expectation stays;
// in eval mode the identity (Srivastava et al., 2014).
class CHAINRULE_API Dropout : public Module {
 public:
  explicit Dropout(double p = 0.5);
};
// In train mode adds normal noise of mean 0 to each element, drawn anew in each call; in eval mode the identity. Bishop
// (1995), Training with noise is equivalent to Tikhonov regularization.
class CHAINRULE_API GaussianNoise : public Module {
 public:
  explicit GaussianNoise(double std);
};
struct NormOptions {
  double eps = 1e-5;
  bool affine = true;     // LayerNorm's elementwise_affine
  double momentum = 0.1;  // BatchNorm1d only: weight of the new batch in the running statistics
  DType dtype = DType::float32;
};
// (x - mean) / sqrt(var + eps) * weight + bias, mean and (biased) variance taken over the last axis (Ba et al., 2016).
class CHAINRULE_API LayerNorm : public Module {
 public:
  explicit LayerNorm(std::int64_t features, const NormOptions& options = {});
};
// The same over the batch of (N, C), at least two samples, in train mode; eval mode takes the running statistics
// instead (Ioffe and Szegedy, 2015). Those are buffers: running = (1 - momentum) running + momentum batch, variance
// unbiased.
class CHAINRULE_API BatchNorm1d : public Module {
 public:
  explicit BatchNorm1d(std::int64_t features, const NormOptions& options = {});
};
struct RMSNormOptions {
  std::optional<double> eps{};  // none: the rounding unit 2^-23 of float32, 2^-52 of float64
  bool affine = true;           // elementwise_affine
  DType dtype = DType::float32;
};
// x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich, 2019).
class CHAINRULE_API RMSNorm : public Module {
 public:
  explicit RMSNorm(std::int64_t features, const RMSNormOptions& options = {});
};
struct EmbeddingOptions {
  std::optional<std::int64_t> padding_idx{};  // this category's row starts at 0 and gets no gradient
  DType dtype = DType::float32;
  std::optional<std::uint64_t> seed{};
};
// A row (embedding_dim,) for every category 0 ... num_embeddings - 1, drawn from N(0, 1): x (...) of integers, also
// held as floats, to (..., embedding_dim). Gradients of a category taken twice add up.
class CHAINRULE_API Embedding : public Module {
 public:
  Embedding(std::int64_t num_embeddings, std::int64_t embedding_dim, const EmbeddingOptions& options = {});
  Tensor weight() const;
};
struct SequentialOptions {
  std::optional<std::uint64_t> seed{};  // draws all parameters anew, as init(seed)
};
// The layers one after the other; without any, the identity. Sizes and dtypes of neighbours are checked.
class CHAINRULE_API Sequential : public Module {
 public:
  Sequential(std::initializer_list<Module> layers);
  explicit Sequential(const std::vector<Module>& layers, const SequentialOptions& options = {});
  std::size_t size() const;
  Module operator[](std::size_t i) const;
};
class CHAINRULE_API Residual : public Module {  // x + inner(x), which must have x's shape
 public:
  explicit Residual(const Module& inner);
};
// Branches side by side: each gets the input (all of them, where there are several), and what they give is joined.
// Without branches the inputs themselves are.
class CHAINRULE_API Concat : public Module {  // along an axis
 public:
  explicit Concat(const std::vector<Module>& branches = {}, int axis = -1);
};
class CHAINRULE_API Add : public Module {  // the sum of equal shapes
 public:
  explicit Add(const std::vector<Module>& branches = {});
};
class CHAINRULE_API Multiply : public Module {  // the product of equal shapes
 public:
  explicit Multiply(const std::vector<Module>& branches = {});
};
// Several outputs: head i of the same input, for MultiLoss.
class CHAINRULE_API MultiHead : public Module {
 public:
  explicit MultiHead(const std::vector<Module>& heads);
  explicit MultiHead(const std::vector<std::pair<std::string, Module>>& heads);  // named
};
class CHAINRULE_API Parallel : public Module {  // layer i of input i: several inputs to several outputs
 public:
  explicit Parallel(const std::vector<Module>& layers);
};
struct MLPOptions {
  // relu, leaky_relu, sigmoid, tanh, gelu, silu, elu, selu, mish, softsign, softplus, identity
  std::string activation = "relu";
  double dropout = 0.0;
  DType dtype = DType::float32;
  std::optional<std::uint64_t> seed{};
};
// Linear layers of the given sizes with the activation (and dropout) between them; the initializer suits the
// activation: Kaiming for the relu family, Xavier for sigmoid, tanh and the output, biases 0.
class CHAINRULE_API MLP : public Sequential {
 public:
  explicit MLP(const std::vector<std::int64_t>& sizes, const MLPOptions& options = {});
};

template <class Impl, class... A> Module make_module(A&&... arguments) {
  return Module(std::make_shared<Impl>(std::forward<A>(arguments)...));
}

// Initializers: fill a parameter from (key, stream); pointers into its memory that C++ code took before may be stale.
// Weights are (in, out, ...): fan_in = in r and
// fan_out = out r, r being the product of the sizes behind the first two; rank 1 counts as (n, 1).
namespace init {
struct Key {
  std::uint64_t key = 0;
  std::uint32_t stream = 0;
};
// linear, identity, sigmoid, softmax 1; tanh 5/3; relu, elu, gelu, silu, softplus sqrt(2); leaky_relu
// sqrt(2 / (1 + param^2)); selu 3/4.
CHAINRULE_API double gain(const std::string& nonlinearity, double param = 0.01);
CHAINRULE_API void constant_(const Tensor& w, double value);
CHAINRULE_API void uniform_(const Tensor& w, double low, double high, Key key);
CHAINRULE_API void normal_(const Tensor& w, double mean, double std, Key key);
// Glorot and Bengio (2010): std = gain sqrt(2 / (fan_in + fan_out)).
CHAINRULE_API void xavier_uniform_(const Tensor& w, Key key, double gain = 1.0);
CHAINRULE_API void xavier_normal_(const Tensor& w, Key key, double gain = 1.0);
// He et al. (2015): std = gain(nonlinearity, a) / sqrt(fan); mode is "fan_in" or "fan_out".
CHAINRULE_API void kaiming_uniform_(const Tensor& w, Key key, const std::string& nonlinearity = "relu", double a = 0.0,
                                    const std::string& mode = "fan_in");
CHAINRULE_API void kaiming_normal_(const Tensor& w, Key key, const std::string& nonlinearity = "relu", double a = 0.0,
                                   const std::string& mode = "fan_in");
// LeCun et al. (1998): std = 1 / sqrt(fan_in).
CHAINRULE_API void lecun_uniform_(const Tensor& w, Key key);
CHAINRULE_API void lecun_normal_(const Tensor& w, Key key);
// Saxe et al. (2014): rows or columns, whichever are fewer, are orthonormal times gain; axes behind the first are one.
CHAINRULE_API void orthogonal_(const Tensor& w, Key key, double gain = 1.0);
}  // namespace init

}  // namespace nn
}  // namespace chainrule
