{
  "target_defaults": {
    "include_dirs": ["cpp", "<!(node -p \"require('node-addon-api').include_dir\")"],
    "defines": ["NAPI_VERSION=9", "NAPI_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["-std=c++20", "-O3", "-DNDEBUG", "-fexceptions", "-fvisibility=hidden", "-ffp-contract=fast", "-fno-math-errno", "-Wno-psabi"],
    "xcode_settings": {
      "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
      "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
      "MACOSX_DEPLOYMENT_TARGET": "12.0"
    },
    # A library for each level of cpp/cpu/levels.txt: flags are a target's, not a source's.
    "target_conditions": [
      ["_type=='static_library'", {
        "sources": [">!@(node scripts/sources.cjs sources >(_target_name))"],
        "cflags_cc": [">!@(node scripts/sources.cjs flags >(_target_name))"]
      }]
    ]
  },
  "targets": [
    { "target_name": "avx2", "type": "static_library" },
    { "target_name": "avx_vnni", "type": "static_library" },
    { "target_name": "avx512", "type": "static_library" },
    { "target_name": "avx512_vnni", "type": "static_library" },
    { "target_name": "avx512_bf16", "type": "static_library" },
    { "target_name": "amx", "type": "static_library" },
    { "target_name": "neon_dot", "type": "static_library" },
    { "target_name": "neon_bf16", "type": "static_library" },
    {
      "target_name": "fles",
      "sources": ["<!@(node scripts/sources.cjs sources rest)"],
      "dependencies": ["avx2", "avx_vnni", "avx512", "avx512_vnni", "avx512_bf16", "amx", "neon_dot", "neon_bf16"]
    }
  ]
}
