// What CUDA and its libraries give, given back when its owner ends or is not made to its end.
#pragma once
#include <memory>
#include <type_traits>

namespace fles::cuda {

template <auto kDestroy>
struct Destroy {
  template <class T>
  void operator()(T* handle) const {
    (void)kDestroy(handle);
  }
};
template <class Handle, auto kDestroy>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy<kDestroy>>;

}  // namespace fles::cuda
