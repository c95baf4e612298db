#include "train/trainer.h"

#include "core/error.h"

namespace fles {
namespace {
[[noreturn]] void absent() { fail("ERR_UNSUPPORTED", "this build of the trainer cannot do that yet"); }
}  // namespace

Trainer::Trainer(const Backend& backend, const ModelSource& source, TrainerOptions options)
    : options_(std::move(options)), model_(backend, source, options_.initialize, options_.seed) {}

size_t Trainer::bytes() const { return model_.bytes(); }
StepReport Trainer::step(const TrainingBatch&, const ObjectiveSettings&, const UpdateSettings&,
                         const std::atomic<bool>&) {
  absent();
}
MaskedReport Trainer::step_masked(const MaskedBatch&, const UpdateSettings&, const std::atomic<bool>&) { absent(); }
std::vector<float> Trainer::encode(Texts, std::vector<int32_t>, const std::atomic<bool>&) { absent(); }
Losses Trainer::losses(const TrainingBatch&, const ObjectiveSettings&, const std::vector<float>&, std::vector<float>&) {
  absent();
}
void Trainer::backward(const std::vector<float>&, const std::atomic<bool>&) { absent(); }
std::vector<float> Trainer::gradients() { absent(); }
void Trainer::add_gradients(const std::vector<float>&) { absent(); }
UpdateReport Trainer::update(const UpdateSettings&) { absent(); }
void Trainer::save(const std::string&, const std::string&, const std::vector<std::string>&) { absent(); }
void Trainer::load(const std::vector<std::string>& files, const std::vector<TensorSource>& tensors, int64_t steps) {
  model_.load_state(files, tensors);
  steps_ = steps;
}

}  // namespace fles
