// Losses over the similarities of a step's queries and documents, on the host: Q x D numbers, whatever the backend.
// Each gives its value and its gradient by the similarities, (Q, D). All arithmetic is in double.
#pragma once
#include <vector>

#include "train/report.h"

namespace fles {

struct RankingLoss {
  double value = 0;
  std::vector<double> gradient;
};

// Documents that compete for each query: those of the step or of the query, less those excluded, every document once.
// Where documents are the same, the positive stands for all of them, else the first.
std::vector<std::vector<int>> candidates_of(const TrainingBatch& batch, Negatives negatives);

// Mean over queries of the cross-entropy of the positive among the candidates, similarities divided by the temperature
// (van den Oord et al. 2018, "Representation Learning with Contrastive Predictive Coding", arXiv:1807.03748).
RankingLoss info_nce(const TrainingBatch& batch, const std::vector<std::vector<int>>& candidates,
                     const std::vector<double>& similarities, double temperature);

// Mean over (query, other document) with teacher scores of the squared difference between the margins of student and
// teacher; a margin is the positive's score minus the other's (Hofstaetter et al. 2020, "Improving Efficient Neural
// Ranking Models with Cross-Architecture Knowledge Distillation", arXiv:2010.02666). 0 when there is none.
RankingLoss margin_mse(const TrainingBatch& batch, const std::vector<double>& similarities);

// Mean over queries of KL(teacher || student), softmax over the candidates with a teacher score (not NaN), teacher
// scores and similarities divided by their temperatures; queries with fewer than two are left out.
RankingLoss kl_divergence(const std::vector<std::vector<int>>& candidates, const std::vector<double>& teacher,
                          const std::vector<double>& similarities, int D, double teacher_temperature,
                          double temperature);

// Similarities of a teacher's sparse vectors, (Q, D).
std::vector<double> teacher_similarities(const TeacherRows& queries, const TeacherRows& documents,
                                         Similarity similarity);

}  // namespace fles
