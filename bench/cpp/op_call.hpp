// One op of the table as a bare call of its kernel, on one thread: no tensors, no record, no instruction around it.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op.hpp"

namespace bench {

class OpCall {
 public:
  // Operands are filled with numbers between low and high, labels (int64) with 0, 1, ... below `classes`. Where the op
  // may update in place, it does.
  OpCall(std::string_view name, chainrule::Types in, const chainrule::Attrs& attrs = {}, float low = -1, float high = 1,
         std::int64_t classes = 2)
      : op_(chainrule::find_op(name)) {
    const chainrule::Types out = op_.infer(op_, in, attrs);
    op_.plan(op_, in, out, attrs, plan_);
    kernel_ =
        op_.kernel[static_cast<std::size_t>(op_.key < 0 ? out[0].dtype : in[static_cast<std::size_t>(op_.key)].dtype)];
    if (kernel_ == nullptr) throw std::runtime_error(std::string(name) + ": no kernel of this type");
    for (const auto& type : in) in_.push_back(filled(type, low, high, classes));
    for (std::size_t j = 0; j < out.size(); ++j) {
      const bool in_place = op_.inplace_pairs && op_.pair[j] >= 0;
      out_.push_back(in_place ? const_cast<void*>(in_[static_cast<std::size_t>(op_.pair[j])])
                              : allocate(bytes(out[j])));
      for (const auto& type : {out[j]}) bytes_ += static_cast<double>(bytes(type));
    }
    for (const auto& type : in) bytes_ += static_cast<double>(bytes(type));
    scratch_ = allocate(static_cast<std::size_t>(plan_.scratch_bytes) + 64);
  }

  void operator()() { kernel_({in_.data(), out_.data(), &plan_}, {0, plan_.units}, scratch_); }

  double bytes() const { return bytes_; }  // read and written by one call
  template <class T> const T* in(std::size_t i) const { return static_cast<const T*>(in_[i]); }
  template <class T> const T* out(std::size_t i) const { return static_cast<const T*>(out_[i]); }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  static std::size_t bytes(const chainrule::TensorType& type) {
    return static_cast<std::size_t>(type.shape.size()) * chainrule::size_of(type.dtype);
  }
  void* allocate(std::size_t size) {  // as aligned as the library's own memory
    memory_.emplace_back(std::aligned_alloc(64, size / 64 * 64 + 64));
    return memory_.back().get();
  }
  void* filled(const chainrule::TensorType& type, float low, float high, std::int64_t classes) {
    void* memory = allocate(bytes(type));
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(low, high);
    for (std::int64_t i = 0; i < type.shape.size(); ++i) switch (type.dtype) {
        case chainrule::DType::float32:
          static_cast<float*>(memory)[i] = uniform(random);
          break;
        case chainrule::DType::float64:
          static_cast<double*>(memory)[i] = static_cast<double>(uniform(random));
          break;
        case chainrule::DType::int64:
          static_cast<std::int64_t*>(memory)[i] = i % classes;
          break;
        default:
          static_cast<unsigned char*>(memory)[i] = static_cast<unsigned char>(i);
      }
    return memory;
  }

  const chainrule::Op& op_;
  chainrule::kernels::Plan plan_{};
  chainrule::kernels::Kernel kernel_;
  std::vector<std::unique_ptr<void, Free>> memory_;
  std::vector<const void*> in_;
  std::vector<void*> out_;
  void* scratch_;
  double bytes_ = 0;
};

}  // namespace bench
