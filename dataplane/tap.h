// A kernel TAP device: what Weir writes, the kernel receives; what the kernel sends out of it, Weir reads. It lives as
// long as the object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "lb/address.h"
#include "lb/result.h"

namespace weir::dataplane {

class Tap {
 public:
  /// Makes device `name`, gives it the MAC and MTU, and brings it up. It has no addresses. Needs CAP_NET_ADMIN.
  [[nodiscard]] static lb::Result<Tap> open(const std::string& name, const lb::MacAddress& mac, std::uint16_t mtu);

  Tap(Tap&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), is_gone_(other.is_gone_), name_(std::move(other.name_)) {}
  Tap& operator=(Tap&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(is_gone_, other.is_gone_);
    std::swap(name_, other.name_);
    return *this;
  }
  ~Tap();  // the device goes with it

  /// Of a running device, when a reload changes them.
  [[nodiscard]] lb::Result<void> set(const lb::MacAddress& mac, std::uint16_t mtu);

  /// Bytes of the next frame that the kernel sends, 0 if none waits. A longer one is cut to `room`.
  [[nodiscard]] std::size_t read(std::span<std::uint8_t> room) noexcept;
  /// False: the kernel did not take it (the device is down, or no memory).
  bool write(std::span<const std::uint8_t> frame) noexcept;

  /// Somebody has removed the device, as a read() found. No other ever comes by this one, and a poll would return at
  /// once.
  [[nodiscard]] bool is_gone() const noexcept { return is_gone_; }

  /// To poll for frames to read.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  Tap(int fd, std::string name) noexcept : fd_(fd), name_(std::move(name)) {}

  int fd_ = -1;
  bool is_gone_ = false;
  std::string name_;
};

}  // namespace weir::dataplane
