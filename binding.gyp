{
  "variables": {
    "x86%": "<!(node -p \"+(process.arch === 'x64')\")"
  },
  "target_defaults": {
    "include_dirs": ["cpp", "<!(node -p \"require('node-addon-api').include_dir\")"],
    "defines": ["NAPI_VERSION=9", "NAPI_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["-std=c++20", "-O3", "-DNDEBUG", "-fexceptions", "-fvisibility=hidden", "-ffp-contract=fast", "-fno-math-errno", "-Wno-psabi"],
    "xcode_settings": {
      "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
      "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
      "MACOSX_DEPLOYMENT_TARGET": "12.0"
    }
  },
  "targets": [
    {
      "target_name": "kernels_avx2",
      "type": "static_library",
      "sources": ["<!@(node scripts/sources.cjs avx2)"],
      "conditions": [["x86==1", { "cflags_cc": ["-mavx2", "-mfma", "-mf16c"] }]]
    },
    {
      "target_name": "kernels_avx512",
      "type": "static_library",
      "sources": ["<!@(node scripts/sources.cjs avx512)"],
      "conditions": [["x86==1", { "cflags_cc": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mf16c", "-mprefer-vector-width=512"] }]]
    },
    {
      "target_name": "fles",
      "sources": ["<!@(node scripts/sources.cjs rest)"],
      "dependencies": ["kernels_avx2", "kernels_avx512"]
    }
  ]
}
