// The functions of cublas_lt.cpp.
#pragma once
#include "cublas.h"

namespace cublas {

LtLibrary lt_library();

}  // namespace cublas
