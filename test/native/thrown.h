// What a call throws: the code of its Error, "" when it throws none.
#pragma once
#include <string>

#include "core/error.h"

template <class Body>
std::string thrown_code(Body&& body, std::string* message = nullptr) {
  try {
    body();
  } catch (const fles::Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code();
  }
  return "";
}
