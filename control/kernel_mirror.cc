#include "control/kernel_mirror.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace weir::control {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kSlice{2};
constexpr std::chrono::milliseconds kReadAgainAfter{200};  // messages about one event come together
constexpr std::chrono::seconds kFirstReading{10};
// Room for 100,000 routes that BIRD writes while this thread does something else for 100 ms.
constexpr int kReceiveBytes = 16 << 20;
constexpr std::size_t kDatagramBytes = std::size_t{64} << 10;  // the kernel fills at most 32 KiB

struct Part {
  std::uint16_t type;
  std::uint8_t family;
};
constexpr std::array<Part, 5> kParts = {{{RTM_GETLINK, AF_UNSPEC},
                                         {RTM_GETADDR, AF_UNSPEC},
                                         {RTM_GETROUTE, AF_INET},
                                         {RTM_GETROUTE, AF_INET6},
                                         {RTM_GETNEIGH, AF_UNSPEC}}};

// This kernel has nothing of that kind, as without IPv6. Any other error says nothing of what it has.
bool is_none(const nlmsghdr& h) {
  if (h.nlmsg_len < NLMSG_LENGTH(sizeof(nlmsgerr))) return false;
  nlmsgerr e{};
  std::memcpy(&e, reinterpret_cast<const char*>(&h) + NLMSG_HDRLEN, sizeof e);
  return e.error == 0 || e.error == -EOPNOTSUPP || e.error == -EAFNOSUPPORT || e.error == -EINVAL;
}

}  // namespace

struct KernelMirror::Socket {
  struct Free {
    void operator()(nl_sock* s) const noexcept { nl_socket_free(s); }
  };
  std::unique_ptr<nl_sock, Free> sock{nl_socket_alloc()};
  [[nodiscard]] int fd() const { return nl_socket_get_fd(sock.get()); }
  [[nodiscard]] std::uint32_t port() const { return nl_socket_get_local_port(sock.get()); }
};

KernelMirror::KernelMirror(boost::asio::io_context& io, std::map<LinkIndex, std::string> twins)
    : io_(io),
      twins_(std::move(twins)),
      is_twin_([this](LinkIndex l) { return twins_.contains(l); }),
      socket_(std::make_unique<Socket>()),
      descriptor_(io),
      again_timer_(io),
      buffer_(kDatagramBytes),
      state_(std::make_unique<KernelState>(twins_)) {}

KernelMirror::~KernelMirror() {
  if (descriptor_.is_open()) descriptor_.release();  // libnl closes it
}

lb::Result<std::unique_ptr<KernelMirror>> KernelMirror::open(boost::asio::io_context& io,
                                                             std::map<LinkIndex, std::string> twins) {
  std::unique_ptr<KernelMirror> mirror(new KernelMirror(io, std::move(twins)));
  if (auto done = mirror->connect(); !done) return std::unexpected(done.error());
  if (auto done = mirror->read_first(); !done) return std::unexpected(done.error());
  return mirror;
}

lb::Result<void> KernelMirror::connect() {
  nl_sock* s = socket_->sock.get();
  if (s == nullptr) return lb::fail("no memory for a netlink socket");
  if (const int error = nl_connect(s, NETLINK_ROUTE); error < 0)
    return lb::fail(std::string("cannot open a netlink socket to follow the kernel's routes: ") + nl_geterror(error));
  const int error = nl_socket_add_memberships(s, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                                              RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEIGH, RTNLGRP_NONE);
  if (error < 0) return lb::fail(std::string("cannot follow the kernel's routes by netlink: ") + nl_geterror(error));
  nl_socket_set_nonblocking(s);
  // Beyond net.core.rmem_max where NET_ADMIN allows it; a smaller one only means more overruns.
  const int bytes = kReceiveBytes, on = 1;
  if (setsockopt(socket_->fd(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    setsockopt(socket_->fd(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  // Lets a reading ask for the main table alone. Older kernels give all of them, and parse_message() chooses.
  setsockopt(socket_->fd(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  return {};
}

lb::Result<void> KernelMirror::read_first() {
  const auto deadline = Clock::now() + kFirstReading;
  do {
    for (begin_reading(); next_ != nullptr;) {
      pollfd p{.fd = socket_->fd(), .events = POLLIN, .revents = 0};
      poll(&p, 1, 100);
      const Read read = read_one();
      if (read == Read::kOverrun) must_repeat_ = true;
      if (read == Read::kError || Clock::now() > deadline)
        return lb::fail("the kernel does not answer what routes it has (netlink, RTM_GETROUTE)");
    }
  } while (must_repeat_ && Clock::now() < deadline);
  is_changed_ = false;
  return {};
}

void KernelMirror::follow(Events events) {
  events_ = std::move(events);
  descriptor_.assign(socket_->fd());
  wait_readable();
}

void KernelMirror::follow_others(std::map<LinkIndex, std::string> twins) {
  twins_ = std::move(twins);
  if (next_ == nullptr) return begin_reading();
  must_repeat_ = true;  // the reading under way is of the ones before
}

// ---- reading ----

void KernelMirror::wait_readable() {
  descriptor_.async_wait(boost::asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code& e) {
    if (e) return;
    read_slice();
    wait_readable();
  });
}

void KernelMirror::read_slice() {
  const auto end = Clock::now() + kSlice;
  while (Clock::now() < end) {
    const Read read = read_one();
    if (read == Read::kOverrun) overrun();
    if (read == Read::kNothing || read == Read::kError) break;
  }
  if (std::exchange(is_changed_, false)) events_.on_network();
}

KernelMirror::Read KernelMirror::read_one() {
  iovec part{.iov_base = buffer_.data(), .iov_len = buffer_.size()};
  msghdr m{};
  m.msg_iov = &part;
  m.msg_iovlen = 1;
  const ssize_t got = recvmsg(socket_->fd(), &m, MSG_DONTWAIT);
  if (got < 0) {
    if (errno == ENOBUFS) return Read::kOverrun;
    return errno == EAGAIN || errno == EINTR ? Read::kNothing : Read::kError;
  }
  int left = static_cast<int>(got);
  for (auto* h = reinterpret_cast<nlmsghdr*>(buffer_.data()); nlmsg_ok(h, left); h = nlmsg_next(h, &left)) take(*h);
  return (m.msg_flags & MSG_TRUNC) != 0 ? Read::kOverrun : Read::kSome;
}

void KernelMirror::take(const nlmsghdr& h) {
  const bool is_answer = next_ != nullptr && h.nlmsg_pid == socket_->port() && h.nlmsg_seq == sequence_;
  if (is_answer && (h.nlmsg_flags & NLM_F_DUMP_INTR) != 0) must_repeat_ = true;
  if (h.nlmsg_type == NLMSG_DONE || h.nlmsg_type == NLMSG_ERROR) {
    if (!is_answer) return;
    if (h.nlmsg_type == NLMSG_ERROR && !is_none(h)) return give_up_reading();
    ++part_;
    return ask_next();
  }
  const auto message = parse_message(h, is_twin_, Clock::now());
  if (!message) return;
  if (is_answer) {
    next_->apply(*message, true);
    return;
  }
  if (next_ != nullptr && next_->apply(*message, false) == KernelState::Effect::kUnsure) must_repeat_ = true;
  switch (state_->apply(*message, false)) {
    case KernelState::Effect::kNothing: break;
    case KernelState::Effect::kNeighbor:
      if (events_.on_neighbor) events_.on_neighbor(std::get<NeighborMessage>(*message).neighbor);
      break;
    case KernelState::Effect::kUnsure: read_again_soon(); [[fallthrough]];
    case KernelState::Effect::kNetwork: is_changed_ = true; break;
  }
}

void KernelMirror::overrun() {
  ++overruns_;
  must_repeat_ = true;
  read_again_soon();
}

// ---- full readings ----

void KernelMirror::read_again_soon() {
  if (next_ != nullptr) return static_cast<void>(must_repeat_ = true);
  if (std::exchange(is_again_due_, true)) return;
  again_timer_.expires_after(kReadAgainAfter);
  again_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    is_again_due_ = false;
    if (next_ != nullptr) return static_cast<void>(must_repeat_ = true);  // another began meanwhile
    begin_reading();
  });
}

void KernelMirror::begin_reading() {
  next_ = std::make_unique<KernelState>(twins_);
  must_repeat_ = false;
  part_ = 0;
  ++readings_;
  ask_next();
}

void KernelMirror::ask_next() {
  if (part_ == kParts.size()) return end_reading();
  // A header as long as the longest of the kinds; zero means "all" in each of them.
  struct {
    nlmsghdr header;
    union {
      ifinfomsg link;
      ifaddrmsg address;
      rtmsg route;
      ndmsg neighbor;
    };
  } request{};
  const auto [type, family] = kParts[part_];
  std::size_t length = 0;
  switch (type) {
    case RTM_GETLINK: length = sizeof(ifinfomsg), request.link.ifi_family = family; break;
    case RTM_GETADDR: length = sizeof(ifaddrmsg), request.address.ifa_family = family; break;
    case RTM_GETROUTE:
      length = sizeof(rtmsg), request.route.rtm_family = family, request.route.rtm_table = RT_TABLE_MAIN;
      break;
    default: length = sizeof(ndmsg), request.neighbor.ndm_family = family; break;
  }
  request.header = {.nlmsg_len = static_cast<std::uint32_t>(NLMSG_LENGTH(length)),
                    .nlmsg_type = type,
                    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                    .nlmsg_seq = ++sequence_,
                    .nlmsg_pid = socket_->port()};
  sockaddr_nl kernel{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
  if (sendto(socket_->fd(), &request, request.header.nlmsg_len, 0, reinterpret_cast<sockaddr*>(&kernel),
             sizeof kernel) >= 0)
    return;
  give_up_reading();
}

// No memory for so short a message, or for the answer; the kernel may have some later.
void KernelMirror::give_up_reading() {
  next_.reset();
  must_repeat_ = true;
  if (events_.on_network) read_again_soon();
}

void KernelMirror::end_reading() {
  auto before = std::exchange(state_, std::move(next_));
  if (events_.on_neighbor) tell_neighbors(*before);
  is_changed_ = true;
  if (must_repeat_ && events_.on_network) read_again_soon();
}

void KernelMirror::tell_neighbors(const KernelState& before) {
  for (const auto& [key, n] : before.neighbors())
    if (state_->neighbor(n.link, n.address) == nullptr) events_.on_neighbor({.link = n.link, .address = n.address});
  for (const auto& [key, n] : state_->neighbors()) {
    const KernelNeighbor* was = before.neighbor(n.link, n.address);
    const bool was_usable = was != nullptr && was->is_usable();
    if (was_usable != n.is_usable() || (was_usable && was->mac != n.mac)) events_.on_neighbor(n);
  }
}

}  // namespace weir::control
