/// \file
/// `refuse`, under the name by which this room includes it.
#pragma once

#include "cuda/memory/device_failure.hpp"  // IWYU pragma: export
