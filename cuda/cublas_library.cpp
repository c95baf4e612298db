// cuBLAS and cuBLASLt, found at run time: one binary serves 11, 12 and 13, and machines without them.
#include <dlfcn.h>

#include <cstddef>
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
// Pointers may differ in what they point to, but not in whether that is a type, and may be written.
template <class T, class U>
constexpr bool kSamePointer = std::is_void_v<T> == std::is_void_v<U> && std::is_const_v<T> == std::is_const_v<U>;
template <class T, class U>
constexpr bool kSameParameter =
    std::is_same_v<T, U> || (std::is_enum_v<T> && std::is_enum_v<U> && sizeof(T) == sizeof(U)) ||
    (std::is_pointer_v<T> && std::is_pointer_v<U> && kSamePointer<std::remove_pointer_t<T>, std::remove_pointer_t<U>>);
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
#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
static_assert(int{cublas::kNoEpilogue} == CUBLASLT_EPILOGUE_DEFAULT && int{cublas::kRelu} == CUBLASLT_EPILOGUE_RELU &&
              int{cublas::kBias} == CUBLASLT_EPILOGUE_BIAS && int{cublas::kReluBias} == CUBLASLT_EPILOGUE_RELU_BIAS &&
              int{cublas::kGelu} == CUBLASLT_EPILOGUE_GELU && int{cublas::kGeluBias} == CUBLASLT_EPILOGUE_GELU_BIAS);
static_assert(int{cublas::kTransposeA} == CUBLASLT_MATMUL_DESC_TRANSA &&
              int{cublas::kTransposeB} == CUBLASLT_MATMUL_DESC_TRANSB &&
              int{cublas::kEpilogue} == CUBLASLT_MATMUL_DESC_EPILOGUE &&
              int{cublas::kBiasPointer} == CUBLASLT_MATMUL_DESC_BIAS_POINTER);
static_assert(int{cublas::kMostWorkspace} == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES &&
              int{cublas::kAlignmentA} == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES &&
              int{cublas::kAlignmentB} == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES &&
              int{cublas::kAlignmentC} == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES &&
              int{cublas::kAlignmentD} == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
static_assert(sizeof(cublas::MatmulAlgorithm) == sizeof(cublasLtMatmulAlgo_t));
using Theirs = cublasLtMatmulHeuristicResult_t;
static_assert(sizeof(cublas::Heuristic) == sizeof(Theirs) &&
              offsetof(cublas::Heuristic, algorithm) == offsetof(Theirs, algo) &&
              offsetof(cublas::Heuristic, workspace) == offsetof(Theirs, workspaceSize) &&
              offsetof(cublas::Heuristic, status) == offsetof(Theirs, state) &&
              offsetof(cublas::Heuristic, waves) == offsetof(Theirs, wavesCount));
static_assert(SameCall<decltype(cublas::LtLibrary::create_matmul), decltype(&cublasLtMatmulDescCreate)>::value);
static_assert(SameCall<decltype(cublas::LtLibrary::destroy_matmul), decltype(&cublasLtMatmulDescDestroy)>::value);
static_assert(SameCall<decltype(cublas::LtLibrary::set_matmul), decltype(&cublasLtMatmulDescSetAttribute)>::value);
static_assert(SameCall<decltype(cublas::LtLibrary::create_layout), decltype(&cublasLtMatrixLayoutCreate)>::value);
static_assert(SameCall<decltype(cublas::LtLibrary::destroy_layout), decltype(&cublasLtMatrixLayoutDestroy)>::value);
static_assert(
    SameCall<decltype(cublas::LtLibrary::create_preference), decltype(&cublasLtMatmulPreferenceCreate)>::value);
static_assert(
    SameCall<decltype(cublas::LtLibrary::destroy_preference), decltype(&cublasLtMatmulPreferenceDestroy)>::value);
static_assert(
    SameCall<decltype(cublas::LtLibrary::set_preference), decltype(&cublasLtMatmulPreferenceSetAttribute)>::value);
static_assert(SameCall<decltype(cublas::LtLibrary::find_algorithms), decltype(&cublasLtMatmulAlgoGetHeuristic)>::value);
static_assert(SameCall<decltype(cublas::LtLibrary::multiply), decltype(&cublasLtMatmul)>::value);
#endif
#endif

namespace cublas {
namespace {

// Whether the library has a function; null otherwise.
template <class Function>
bool find(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(handle, name));
  return function != nullptr;
}

// That beside cuBLAS of this version, which has loaded it already; nothing where a function is missing.
LtLibrary lt_library(int version) {
  void* handle = dlopen(("libcublasLt.so." + std::to_string(version)).c_str(), RTLD_NOW | RTLD_LOCAL);
  LtLibrary f{};
  const bool whole = handle != nullptr && find(handle, "cublasLtMatmulDescCreate", f.create_matmul) &&
                     find(handle, "cublasLtMatmulDescDestroy", f.destroy_matmul) &&
                     find(handle, "cublasLtMatmulDescSetAttribute", f.set_matmul) &&
                     find(handle, "cublasLtMatrixLayoutCreate", f.create_layout) &&
                     find(handle, "cublasLtMatrixLayoutDestroy", f.destroy_layout) &&
                     find(handle, "cublasLtMatmulPreferenceCreate", f.create_preference) &&
                     find(handle, "cublasLtMatmulPreferenceDestroy", f.destroy_preference) &&
                     find(handle, "cublasLtMatmulPreferenceSetAttribute", f.set_preference) &&
                     find(handle, "cublasLtMatmulAlgoGetHeuristic", f.find_algorithms) &&
                     find(handle, "cublasLtMatmul", f.multiply);
  return whole ? f : LtLibrary{};
}

}  // namespace

const Library* library(const char** reason) {
  struct Found {
    Library functions{};
    const char* reason = nullptr;
  };
  static const Found found = [] {
    Found f;
    void* handle = nullptr;
    int driver = 0, loaded = 0;
    (void)cudaDriverGetVersion(&driver);
    for (const int version : {13, 12, 11}) {
      if (version > driver / 1000) continue;  // it would load, and then not start
      handle = dlopen(("libcublas.so." + std::to_string(version)).c_str(), RTLD_NOW | RTLD_LOCAL);
      loaded = version;
      if (handle != nullptr) break;
    }
    if (handle == nullptr) {
      f.reason =
          "cuBLAS was not found: none of libcublas.so.13, .12 and .11 loads that is no newer than the driver; install "
          "CUDA's cuBLAS or add its folder to LD_LIBRARY_PATH";
      return f;
    }
    Library& blas = f.functions;
    const bool whole = find(handle, "cublasCreate_v2", blas.create) && find(handle, "cublasDestroy_v2", blas.destroy) &&
                       find(handle, "cublasSetStream_v2", blas.set_stream) &&
                       find(handle, "cublasSetWorkspace_v2", blas.set_workspace) &&
                       find(handle, "cublasGemmEx", blas.gemm);
    if (!whole) f.reason = "cuBLAS lacks a function that is needed; install version 11.3 or later";
    blas.lt = lt_library(loaded);
    return f;
  }();
  *reason = found.reason;
  return found.reason == nullptr ? &found.functions : nullptr;
}

}  // namespace cublas
