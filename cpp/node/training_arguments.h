// What NativeTrainer takes and gives (the interfaces of lib/native.ts) as the structures of train/report.h.
#pragma once
#include <napi.h>

#include "train/trainer.h"

namespace fles::node {

TrainerOptions trainer_options_from(const Napi::Object& object);
Texts texts_from(const Napi::Object& object);
TrainingBatch training_batch_from(const Napi::Object& object);
MaskedBatch masked_batch_from(const Napi::Object& object);
ObjectiveSettings objective_from(const Napi::Object& object);
UpdateSettings update_from(const Napi::Object& object);

// Each adds the properties of one part of a report.
void put(Napi::Object& out, const Losses& losses);
void put(Napi::Object& out, const UpdateReport& report);
void put(Napi::Object& out, const Seconds& seconds);
void put(Napi::Object& out, const MaskedReport& report);

}  // namespace fles::node
