#pragma once

/// All of libfloat8: `#include <float8/float8.h>`.

#include "float8/cached_weights.h"
#include "float8/config.h"
#include "float8/convert.h"
#include "float8/format.h"
#include "float8/linear.h"
#include "float8/ops.h"
#include "float8/plan.h"
#include "float8/scaling.h"
#include "float8/version.h"
#include "float8/yaml.h"
