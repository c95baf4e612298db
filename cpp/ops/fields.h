// How an op's argument struct describes itself. Each ops/<op>.h defines
//   template <class Visitor> void fields(Visitor& v, Arguments& a)
// and calls, sizes first:
//   v.size("T", a.T)                a dimension, >= 0
//   v.number("eps", a.eps)          a scalar
//   v.choice("mode", a.mode, {"max", "sum"})   an enumeration, by name
//   v.product_type("dtype", a.type)  a DataType of products of what is not packed: every one but int8
//   v.input("in", a.in, count)      `count` values that the op reads
//   v.host("offsets", a.offsets, count)   the same in host memory, whatever the backend
//   v.optional("bias", a.bias, count)  the same, or null
//   v.output("out", a.out, count)   `count` values that the op writes
//   v.weight("weight", a.weight, N, K)  a matrix packed by the backend, in the type that `dtype` names
//   v.optional_weight("screen", a.screen, N, K, type)  the same in the type given, or null
// The test door (node/op_door.cpp) reads arguments from JavaScript by these calls, so that an op needs no binding.
#pragma once
