// Result<T>: the return type of everything outside the packet path that can fail.
//
// An Error is one sentence an operator can act on: what is wrong, where, and what to do. Nothing on a worker
// returns one; there a packet is sent or dropped with a DropReason (lb/drop_reason.h).
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace weir::lb {

struct Error {
  std::string message;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(std::string message) {
  return std::unexpected<Error>(Error{std::move(message)});
}

}  // namespace weir::lb
