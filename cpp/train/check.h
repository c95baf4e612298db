// Nothing of a training batch is trusted: each of these names the entry that is wrong.
#pragma once
#include "model/parameters.h"
#include "train/report.h"

namespace fles {

// ERR_BATCH_OFFSETS, ERR_LENGTH_RANGE (texts without tokens too), ERR_TOKEN_RANGE.
void check_texts(const ModelConfig& config, const Texts& texts);

// Also ERR_BATCH_SIZE, ERR_BATCH_POSITIVE, ERR_BATCH_OWNER, ERR_BATCH_DUPLICATE, ERR_TEACHER_SCORES,
// ERR_TEACHER_VECTORS; and ERR_TEACHER_MISSING when the objective has a term that needs a teacher.
void check_training_batch(const ModelConfig& config, const TrainingBatch& batch, const ObjectiveSettings& objective);

// Labels of the vocabulary or -1, at least one of them: ERR_BATCH_LABELS.
void check_masked_batch(const ModelConfig& config, const MaskedBatch& batch);

}  // namespace fles
