// The process group as Rust holds it.
#pragma once

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

namespace bioscan {

struct Group {
  c10::intrusive_ptr<c10d::ProcessGroup> handle;
};

}  // namespace bioscan
