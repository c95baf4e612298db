// cuBLAS, found at run time: one binary serves 11, 12 and 13, and machines without it.
#include <dlfcn.h>

#include <string>
#include <type_traits>

#include "cublas.h"

#if __has_include(<library_types.h>)
#include <library_types.h>
static_assert(int{cublas::kFloat32} == CUDA_R_32F && int{cublas::kInt8} == CUDA_R_8I &&
              int{cublas::kInt32} == CUDA_R_32I && int{cublas::kBfloat16} == CUDA_R_16BF);
#endif
#if __has_include(<cublas_v2.h>)
#include <cublas_v2.h>
static_assert(int{cublas::kPlain} == CUBLAS_OP_N && int{cublas::kTransposed} == CUBLAS_OP_T &&
              int{cublas::kCompute32F} == CUBLAS_COMPUTE_32F && int{cublas::kCompute32I} == CUBLAS_COMPUTE_32I &&
              int{cublas::kComputeTf32} == CUBLAS_COMPUTE_32F_FAST_TF32 &&
              int{cublas::kDefault} == CUBLAS_GEMM_DEFAULT && int{cublas::kSuccess} == CUBLAS_STATUS_SUCCESS &&
              int{cublas::kNotInitialized} == CUBLAS_STATUS_NOT_INITIALIZED &&
              int{cublas::kAllocationFailed} == CUBLAS_STATUS_ALLOC_FAILED &&
              int{cublas::kInvalidValue} == CUBLAS_STATUS_INVALID_VALUE &&
              int{cublas::kExecutionFailed} == CUBLAS_STATUS_EXECUTION_FAILED &&
              int{cublas::kNotSupported} == CUBLAS_STATUS_NOT_SUPPORTED);
// The same parameters, enumerations being passed as int.
template <class Ours, class Theirs>
struct SameCall : std::false_type {};
template <class T, class U>
constexpr bool kSameParameter =
    std::is_same_v<T, U> || (std::is_enum_v<T> && std::is_enum_v<U> && sizeof(T) == sizeof(U)) ||
    (std::is_pointer_v<T> && std::is_pointer_v<U> && sizeof(T) == sizeof(U));
template <class... P, class Status, class... Q>
struct SameCall<int (*)(P...), Status (*)(Q...)>
    : std::bool_constant<sizeof...(P) == sizeof...(Q) && sizeof(Status) == sizeof(int)> {
  static_assert((kSameParameter<P, Q> && ...));
};
static_assert(SameCall<decltype(cublas::Library::create), decltype(&cublasCreate_v2)>::value);
static_assert(SameCall<decltype(cublas::Library::destroy), decltype(&cublasDestroy_v2)>::value);
static_assert(SameCall<decltype(cublas::Library::set_stream), decltype(&cublasSetStream_v2)>::value);
static_assert(SameCall<decltype(cublas::Library::set_workspace), decltype(&cublasSetWorkspace_v2)>::value);
static_assert(
    SameCall<decltype(cublas::Library::gemm),
             cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int, const void*,
                                const void*, cudaDataType, int, const void*, cudaDataType, int, const void*, void*,
                                cudaDataType, int, cublasComputeType_t, cublasGemmAlgo_t)>::value);
// It has an overload for C++, from which only the type can choose.
[[maybe_unused]] constexpr cublasStatus_t (*kGemm)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int,
                                                   const void*, const void*, cudaDataType, int, const void*,
                                                   cudaDataType, int, const void*, void*, cudaDataType, int,
                                                   cublasComputeType_t, cublasGemmAlgo_t) = &cublasGemmEx;
#endif

namespace cublas {

const Library* library(const char** reason) {
  struct Found {
    Library functions{};
    const char* reason = nullptr;
  };
  static const Found found = [] {
    Found f;
    void* handle = nullptr;
    int driver = 0;
    (void)cudaDriverGetVersion(&driver);
    for (const int version : {13, 12, 11}) {
      if (version > driver / 1000) continue;  // it would load, and then not start
      handle = dlopen(("libcublas.so." + std::to_string(version)).c_str(), RTLD_NOW | RTLD_LOCAL);
      if (handle != nullptr) break;
    }
    if (handle == nullptr) {
      f.reason =
          "cuBLAS was not found: none of libcublas.so.13, .12 and .11 loads that is no newer than the driver; install "
          "CUDA's cuBLAS or add its folder to LD_LIBRARY_PATH";
      return f;
    }
    const auto get = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
      if (function == nullptr) f.reason = "cuBLAS lacks a function that is needed; install version 11.3 or later";
    };
    get(f.functions.create, "cublasCreate_v2");
    get(f.functions.destroy, "cublasDestroy_v2");
    get(f.functions.set_stream, "cublasSetStream_v2");
    get(f.functions.set_workspace, "cublasSetWorkspace_v2");
    get(f.functions.gemm, "cublasGemmEx");
    return f;
  }();
  *reason = found.reason;
  return found.reason == nullptr ? &found.functions : nullptr;
}

}  // namespace cublas
