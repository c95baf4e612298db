#include "fused_products.h"

#include <algorithm>

#include "device.h"

namespace fles::cuda {
namespace {

// Texts are ragged, so that every batch may have a shape of its own: enough plans for the layers of some batches, which
// a search through all of them finds sooner than cuBLASLt chooses an algorithm.
constexpr size_t kMostPlans = 64;
// Of every matrix and bias: as much as a kernel loads at once, and what all memory here has but odd parts of arrays.
constexpr uint32_t kAlignment = 16;

const cublas::LtLibrary& lt() {
  const char* reason = nullptr;
  return cublas::library(&reason)->lt;
}
bool is_there() { return lt().multiply != nullptr; }

bool is_aligned(const void* memory) { return reinterpret_cast<uintptr_t>(memory) % kAlignment == 0; }

cublas::Operation operation(bool transposed) { return transposed ? cublas::kTransposed : cublas::kPlain; }

template <class T>
void set(cublas::Matmul matmul, cublas::MatmulAttribute attribute, T value) {
  check_blas(lt().set_matmul(matmul, attribute, static_cast<const void*>(&value), sizeof value),
             "describing a product");
}

// Of a row-major op(X) (rows, columns), how X lies in memory, column-major.
cublas::Layout make_layout(cublas::Type type, bool transposed, int rows, int columns, int ld) {
  cublas::Layout layout = nullptr;
  const int inner = transposed ? rows : columns, outer = transposed ? columns : rows;
  check_blas(lt().create_layout(&layout, type, inner, outer, ld), "describing a product");
  return layout;
}

}  // namespace

int destroy_matmul(cublas::Matmul matmul) { return lt().destroy_matmul(matmul); }
int destroy_layout(cublas::Layout layout) { return lt().destroy_layout(layout); }
int destroy_preference(cublas::Preference preference) { return lt().destroy_preference(preference); }

FusedProducts::FusedProducts(cublas::Handle handle, void* workspace, size_t workspace_bytes)
    : handle_(handle), workspace_(static_cast<char*>(workspace)), workspace_bytes_(workspace_bytes) {
  if (!is_there()) return;
  cublas::Preference preference = nullptr;
  check_blas(lt().create_preference(&preference), "starting cuBLASLt");
  preference_.reset(preference);
  const auto prefer = [&](cublas::PreferenceAttribute attribute, auto value) {
    check_blas(lt().set_preference(preference, attribute, &value, sizeof value), "starting cuBLASLt");
  };
  prefer(cublas::kMostWorkspace, uint64_t{workspace_bytes});
  for (const auto one : {cublas::kAlignmentA, cublas::kAlignmentB, cublas::kAlignmentC, cublas::kAlignmentD}) {
    prefer(one, kAlignment);
  }
}

FusedProducts::Plan FusedProducts::make_plan(const Key& key) const {
  Plan plan{};
  plan.key = key;
  cublas::Matmul matmul = nullptr;
  check_blas(lt().create_matmul(&matmul, key.compute, cublas::kFloat32), "describing a product");
  plan.matmul.reset(matmul);
  // Column-major, the same memory is the transposed matrix: C' = op(B)' op(A)', whose rows have the bias.
  set(matmul, cublas::kTransposeA, operation(key.transpose_b));
  set(matmul, cublas::kTransposeB, operation(key.transpose_a));
  // Versions differ: one does not know the epilogue, another has no algorithm, and which status says so.
  if (lt().set_matmul(matmul, cublas::kEpilogue, &key.epilogue, sizeof key.epilogue) != cublas::kSuccess) return plan;
  // The choice depends on how the bias is aligned: an address that is so and no better stands for all.
  const void* aligned = workspace_ + kAlignment;
  if ((key.epilogue & cublas::kBias) != 0) set(matmul, cublas::kBiasPointer, aligned);
  plan.a.reset(make_layout(key.b_type, key.transpose_b, key.k, key.n, key.ldb));
  plan.b.reset(make_layout(key.a_type, key.transpose_a, key.m, key.k, key.lda));
  plan.c.reset(make_layout(key.c_type, false, key.m, key.n, key.ldc));
  cublas::Heuristic heuristic{};
  int found = 0;
  const int status = lt().find_algorithms(handle_, matmul, plan.a.get(), plan.b.get(), plan.c.get(), plan.c.get(),
                                          preference_.get(), 1, &heuristic, &found);
  plan.possible = status == cublas::kSuccess && found > 0 && heuristic.status == cublas::kSuccess;
  plan.algorithm = heuristic.algorithm;
  return plan;
}

FusedProducts::Plan& FusedProducts::plan_of(const Key& key) {
  const auto known = std::find_if(plans_.begin(), plans_.end(), [&](const Plan& plan) { return plan.key == key; });
  if (known != plans_.end()) {
    plans_.splice(plans_.begin(), plans_, known);
  } else {
    plans_.push_front(make_plan(key));
    if (plans_.size() > kMostPlans) plans_.pop_back();
  }
  return plans_.front();
}

bool FusedProducts::multiply(const Product& p, const ProductEpilogue& epilogue, cublas::Compute compute,
                             cudaStream_t stream) {
  ++asked_;
  const void* const memory[] = {p.a, p.b, p.c, epilogue.addend, epilogue.bias};
  if (!is_there() || p.k == 0 || !std::all_of(std::begin(memory), std::end(memory), is_aligned)) return false;
  Plan& plan = plan_of({.transpose_a = p.transpose_a,
                        .transpose_b = p.transpose_b,
                        .m = p.m,
                        .n = p.n,
                        .k = p.k,
                        .lda = p.lda,
                        .ldb = p.ldb,
                        .ldc = p.ldc,
                        .a_type = p.a_type,
                        .b_type = p.b_type,
                        .c_type = p.c_type,
                        .compute = compute,
                        .epilogue = epilogue.bias == nullptr ? epilogue.activation : with_bias(epilogue.activation)});
  if (!plan.possible) return false;
  if (epilogue.bias != nullptr) set(plan.matmul.get(), cublas::kBiasPointer, epilogue.bias);
  const float one = 1, beta = epilogue.addend == nullptr ? 0.0f : 1.0f;
  const void* addend = epilogue.addend == nullptr ? p.c : epilogue.addend;
  const int status =
      lt().multiply(handle_, plan.matmul.get(), &one, p.b, plan.a.get(), p.a, plan.b.get(), &beta, addend, plan.c.get(),
                    p.c, plan.c.get(), &plan.algorithm, workspace_, workspace_bytes_, stream);
  if (status == cublas::kNotSupported) return plan.possible = false;  // which is known before anything is queued
  check_blas(status, "multiplying matrices");
  ++queued_;
  return true;
}

}  // namespace fles::cuda
