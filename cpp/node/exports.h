// What each file of this folder adds to the addon's exports.
#pragma once
#include <napi.h>

namespace fles::node {

void export_platform(Napi::Env env, Napi::Object exports);
void export_encoder(Napi::Env env, Napi::Object exports);
void export_op_door(Napi::Env env, Napi::Object exports);
void export_index(Napi::Env env, Napi::Object exports);
void export_trainer(Napi::Env env, Napi::Object exports);

}  // namespace fles::node
