#include "tests/support/packet_dump.h"

#include <arpa/inet.h>

#include <cstdio>
#include <stdexcept>

namespace weir::test {

namespace {

using View = std::span<const std::uint8_t>;

/// Walks a packet once; leaves a name for each byte and a line of text. Reads nothing past `end_`.
class Reader {
 public:
  explicit Reader(View bytes) : bytes_(bytes), end_(bytes.size()), names_(bytes.size(), "payload") { ethernet(); }

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const std::string& name(std::size_t at) const { return names_[at]; }

 private:
  struct Field {
    const char* name;
    std::size_t bytes;
  };

  [[nodiscard]] unsigned get8(std::size_t at) const { return at < end_ ? bytes_[at] : 0; }
  [[nodiscard]] unsigned get16(std::size_t at) const { return get8(at) << 8 | get8(at + 1); }
  [[nodiscard]] unsigned get32(std::size_t at) const { return get16(at) << 16 | get16(at + 2); }

  void say(const std::string& more) { text_ += (text_.empty() ? "" : " ") + more; }
  void say(const char* what, unsigned value) { say(std::string(what) + " " + std::to_string(value)); }

  /// Names the bytes of a header at `at_` and goes behind it; false if the packet ends inside.
  bool header(const char* name, std::initializer_list<Field> fields) {
    for (const Field& f : fields)
      for (std::size_t i = 0; i < f.bytes; ++i, ++at_)
        if (at_ < names_.size()) names_[at_] = std::string(name) + " " + f.name;
    if (at_ <= end_) return true;
    say(std::string(name) + " CUT");
    at_ = end_;
    return false;
  }

  [[nodiscard]] std::string mac(std::size_t at) const {
    char text[18];
    std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", get8(at), get8(at + 1), get8(at + 2),
                  get8(at + 3), get8(at + 4), get8(at + 5));
    return text;
  }
  [[nodiscard]] std::string address(int family, std::size_t at) const {
    char text[INET6_ADDRSTRLEN];
    return inet_ntop(family, bytes_.data() + at, text, sizeof text);
  }
  [[nodiscard]] bool sums_up(std::size_t from, std::size_t to, unsigned sum) const {
    for (std::size_t i = from; i < to; i += 2) sum += get8(i) << 8 | (i + 1 < to ? get8(i + 1) : 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return sum == 0xffff;
  }

  void ethernet() {
    if (!header("eth", {{"destination", 6}, {"source", 6}, {"type", 2}})) return;
    say("eth " + mac(6) + " > " + mac(0));
    unsigned type = get16(12);
    while (type == 0x8100 || type == 0x88a8) {
      const std::size_t tag = at_;
      if (!header("vlan", {{"tag", 2}, {"type", 2}})) return;
      say("vlan", get16(tag) & 0xfff);
      type = get16(tag + 2);
    }
    switch (type) {
      case 0x0800: return ipv4();
      case 0x86dd: return ipv6();
      case 0x0806: return arp();
      default: say("type", type);
    }
  }

  void ipv4() {
    const std::size_t ip = at_;
    if (!header("ipv4", {{"version", 1},
                         {"tos", 1},
                         {"total length", 2},
                         {"id", 2},
                         {"fragment", 2},
                         {"ttl", 1},
                         {"protocol", 1},
                         {"checksum", 2},
                         {"source", 4},
                         {"destination", 4}}))
      return;
    say("ipv4 " + address(AF_INET, ip + 12) + " > " + address(AF_INET, ip + 16));
    say("ttl", get8(ip + 8));
    say("id", get16(ip + 4));
    const std::size_t header_bytes = std::size_t{get8(ip) & 15} * 4;
    if (header_bytes > 20 && !header("ipv4", {{"options", header_bytes - 20}})) return;
    if (!sums_up(ip, ip + header_bytes, 0)) say("BAD ipv4 checksum");
    limit(ip + get16(ip + 2));
    const unsigned fragment = get16(ip + 6);
    if ((fragment & 0x4000) != 0) say("DF");
    if ((fragment & 0x2000) != 0) say("MF");
    if ((fragment & 0x1fff) != 0) return say("offset", (fragment & 0x1fff) * 8);
    layer4(get8(ip + 9), ip + 12, 8, (fragment & 0x2000) != 0);
  }

  void ipv6() {
    const std::size_t ip = at_;
    if (!header("ipv6", {{"version", 4},
                         {"payload length", 2},
                         {"next header", 1},
                         {"hop limit", 1},
                         {"source", 16},
                         {"destination", 16}}))
      return;
    say("ipv6 " + address(AF_INET6, ip + 8) + " > " + address(AF_INET6, ip + 24));
    say("hlim", get8(ip + 7));
    limit(at_ + get16(ip + 4));
    unsigned next = get8(ip + 6);
    bool fragmented = false;
    while (next == 0 || next == 43 || next == 44 || next == 60) {
      const std::size_t ext = at_;
      if (!header("extension", {{"next header", 1}, {"length", 1}, {"body", 6}})) return;
      say("ext", next);
      if (next == 44) {
        say("offset", get16(ext + 2) & 0xfff8);
        if ((get16(ext + 2) & 0xfff8) != 0) return;
        fragmented = (get16(ext + 2) & 1) != 0;
      } else if (!header("extension", {{"body", std::size_t{get8(ext + 1)} * 8}})) {
        return;
      }
      next = get8(ext);
    }
    layer4(next, ip + 8, 32, fragmented);
  }

  /// What lies behind the IP length is a trailer.
  void limit(std::size_t end) {
    if (end > bytes_.size()) return say("CUT by " + std::to_string(end - bytes_.size()));
    if (end < bytes_.size()) say("trailer", static_cast<unsigned>(bytes_.size() - end));
    for (std::size_t i = end; i < names_.size(); ++i) names_[i] = "trailer";
    end_ = std::max(at_, end);
  }

  void layer4(unsigned protocol, std::size_t addresses, std::size_t address_bytes, bool fragmented) {
    const std::size_t l4 = at_;
    unsigned sum = protocol + static_cast<unsigned>(end_ - l4);
    for (std::size_t i = 0; i < address_bytes; i += 2) sum += get16(addresses + i);
    switch (protocol) {
      case 6:
        if (!header("tcp", {{"source port", 2},
                            {"destination port", 2},
                            {"seq", 4},
                            {"ack", 4},
                            {"data offset", 1},
                            {"flags", 1},
                            {"window", 2},
                            {"checksum", 2},
                            {"urgent", 2}}))
          return;
        say("tcp " + std::to_string(get16(l4)) + " > " + std::to_string(get16(l4 + 2)) + " " + flags(get8(l4 + 13)));
        say("seq", get32(l4 + 4));
        say("ack", get32(l4 + 8));
        if (const std::size_t bytes = std::size_t{get8(l4 + 12) >> 4} * 4; bytes > 20)
          if (!header("tcp", {{"options", bytes - 20}})) return;
        break;
      case 17:
        if (!header("udp", {{"source port", 2}, {"destination port", 2}, {"length", 2}, {"checksum", 2}})) return;
        say("udp " + std::to_string(get16(l4)) + " > " + std::to_string(get16(l4 + 2)));
        if (get16(l4 + 6) == 0) return say("no checksum");
        break;
      case 1:
      case 58:
        if (!header(protocol == 1 ? "icmp" : "icmp6", {{"type", 1}, {"code", 1}, {"checksum", 2}, {"rest", 4}})) return;
        say(protocol == 1 ? "icmp" : "icmp6", get8(l4));
        say("code", get8(l4 + 1));
        if (protocol == 1) sum = 0;
        break;
      default: return say("protocol", protocol);
    }
    if (!fragmented && !sums_up(l4, end_, sum)) say("BAD checksum");
    say("payload", static_cast<unsigned>(end_ - at_));
  }

  void arp() {
    const std::size_t a = at_;
    if (!header("arp", {{"hardware", 2},
                        {"protocol", 2},
                        {"lengths", 2},
                        {"operation", 2},
                        {"sender mac", 6},
                        {"sender", 4},
                        {"target mac", 6},
                        {"target", 4}}))
      return;
    say("arp", get16(a + 6));
    say(address(AF_INET, a + 14) + " is " + mac(a + 8) + ", to " + address(AF_INET, a + 24) + " " + mac(a + 18));
    for (std::size_t i = at_; i < names_.size(); ++i) names_[i] = "trailer";
  }

  static std::string flags(unsigned bits) {
    std::string text;
    for (unsigned i = 0; i < 8; ++i)
      if ((bits >> i & 1) != 0) text += "FSRPAUEC"[i];
    return text.empty() ? "-" : text;
  }

  View bytes_;
  std::size_t at_ = 0;
  std::size_t end_;  // of what the innermost length counts
  std::vector<std::string> names_;
  std::string text_;
};

std::string hex(View bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    char digits[4];
    std::snprintf(digits, sizeof digits, "%s%02x", i == 0 ? "" : " ", bytes[i]);
    text += digits;
  }
  return text;
}

}  // namespace

std::string dump(View bytes) {
  return Reader(bytes).text() + " (" + std::to_string(bytes.size()) + " bytes): " + hex(bytes);
}

std::string field_at(View bytes, std::size_t at) {
  return at < bytes.size() ? Reader(bytes).name(at) : "behind the end";
}

::testing::AssertionResult same_packet(View expected, View got) {
  std::size_t at = 0;
  while (at < expected.size() && at < got.size() && expected[at] == got[at]) ++at;
  if (at == expected.size() && at == got.size()) return ::testing::AssertionSuccess();
  auto failure = ::testing::AssertionFailure();
  failure << "differ at byte " << at;
  if (at < expected.size() && at < got.size()) {
    failure << " (" << field_at(expected, at) << "): expected " << hex(expected.subspan(at, 1)) << ", got "
            << hex(got.subspan(at, 1));
  } else {
    failure << ": expected " << expected.size() << " bytes, got " << got.size();
  }
  return failure << "\n  expected " << dump(expected) << "\n  got      " << dump(got);
}

std::vector<std::uint8_t> from_hex(std::string_view text) {
  std::vector<std::uint8_t> out;
  int digits = 0;
  unsigned value = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\n') continue;
    const auto digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) throw std::invalid_argument("not hex: " + std::string(1, c));
    value = value << 4 | static_cast<unsigned>(digit);
    if (++digits % 2 == 0) out.push_back(static_cast<std::uint8_t>(value));
  }
  if (digits % 2 != 0) throw std::invalid_argument("half a byte at the end");
  return out;
}

}  // namespace weir::test
