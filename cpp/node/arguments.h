// Reading arguments from JavaScript. Inputs are copied: what JavaScript does with them afterwards does not matter.
#pragma once
#include <napi.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/error.h"

namespace fles::node {

inline Napi::Value property(const Napi::Object& object, const char* name) { return object.Get(name); }

inline double number_at(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsNumber()) fail("ERR_ARGUMENT_TYPE", "%s is not a number", name);
  return value.As<Napi::Number>().DoubleValue();
}

inline int integer_at(const Napi::Object& object, const char* name) {
  const double value = number_at(object, name);
  if (!(value >= -2147483648.0 && value <= 2147483647.0) || value != static_cast<int>(value)) {
    fail("ERR_ARGUMENT_TYPE", "%s is %g, expected a 32-bit integer", name, value);
  }
  return static_cast<int>(value);
}

inline uint64_t offset_at(const Napi::Object& object, const char* name) {
  const double value = number_at(object, name);
  if (!(value >= 0 && value <= 9007199254740991.0))
    fail("ERR_ARGUMENT_TYPE", "%s is %g, expected 0..2^53-1", name, value);
  return static_cast<uint64_t>(value);
}

inline std::string string_at(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsString()) fail("ERR_ARGUMENT_TYPE", "%s is not a string", name);
  return value.As<Napi::String>();
}

inline bool flag_at(const Napi::Object& object, const char* name) { return object.Get(name).ToBoolean(); }

inline Napi::Object object_at(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsObject()) fail("ERR_ARGUMENT_TYPE", "%s is not an object", name);
  return value.As<Napi::Object>();
}

// Position of a string among names.
template <class Enum>
Enum choice_at(const Napi::Object& object, const char* name, std::initializer_list<const char*> names) {
  const std::string value = string_at(object, name);
  int i = 0;
  std::string expected;
  for (const char* candidate : names) {
    // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): there are as many names as enumerators
    if (value == candidate) return static_cast<Enum>(i);
    expected += (i++ == 0 ? "" : " | ") + std::string(candidate);
  }
  fail("ERR_ARGUMENT_VALUE", "%s is \"%s\", expected %s", name, value.c_str(), expected.c_str());
}

// A copy of a typed array of exactly this element type.
template <class T>
std::vector<T> array_of(const Napi::Value& value, const char* name);

namespace detail {
template <class T>
constexpr napi_typedarray_type array_type();
template <>
constexpr napi_typedarray_type array_type<float>() {
  return napi_float32_array;
}
template <>
constexpr napi_typedarray_type array_type<double>() {
  return napi_float64_array;
}
template <>
constexpr napi_typedarray_type array_type<int32_t>() {
  return napi_int32_array;
}
template <>
constexpr napi_typedarray_type array_type<uint32_t>() {
  return napi_uint32_array;
}
template <>
constexpr napi_typedarray_type array_type<uint8_t>() {
  return napi_uint8_array;
}
}  // namespace detail

template <class T>
std::vector<T> array_of(const Napi::Value& value, const char* name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != detail::array_type<T>()) {
    fail("ERR_ARGUMENT_TYPE", "%s is not a typed array of the element type expected", name);
  }
  const auto array = value.As<Napi::TypedArrayOf<T>>();
  return std::vector<T>(array.Data(), array.Data() + array.ElementLength());
}

// A fresh typed array with a copy of the values.
template <class T>
Napi::TypedArrayOf<T> to_array(Napi::Env env, const T* values, size_t count) {
  auto array = Napi::TypedArrayOf<T>::New(env, count, detail::array_type<T>());
  if (count > 0) std::memcpy(array.Data(), values, count * sizeof(T));
  return array;
}

}  // namespace fles::node
