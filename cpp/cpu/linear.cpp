#include "cpu/product.h"

namespace fles::cpu {

void linear(void* self, const LinearForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const ProductKernels& products = state.products(*a.weight, a.T, a.numerics);
  multiply(state, {
                      .products = products,
                      .in = a.in,
                      .ld = a.K,
                      .transposed = false,
                      .panels = static_cast<const uint8_t*>(a.weight->data),
                      .rows = a.T,
                      .columns = a.N,
                      .inner = a.K,
                      .bias = a.bias,
                      .residual = a.residual,
                      .out = a.out,
                      .activation = a.activation,
                  });
}

}  // namespace fles::cpu
