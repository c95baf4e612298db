// Every op's arguments.
#pragma once
#include "ops/attention.h"
#include "ops/dense_pool.h"
#include "ops/embedding.h"
#include "ops/layernorm.h"
#include "ops/linear.h"
#include "ops/linear_backward.h"
#include "ops/sparse_head.h"
#include "ops/topk_threshold.h"
