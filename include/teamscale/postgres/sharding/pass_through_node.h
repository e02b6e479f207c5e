// A custom plan node that gives the rows of the node below it, unchanged in shape. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/extensible.h"
#include "nodes/plannodes.h"
}

namespace teamscale {

// The child becomes the node's outer plan. private_data must be what copyObject can copy.
CustomScan* MakePassThroughNode(Plan* child, const CustomScanMethods* methods, List* private_data);

}  // namespace teamscale
