#include "dataplane/device.h"

#include <algorithm>

namespace weir::dataplane {

namespace {

// To the next comma that no parenthesis holds; the comma is gone from `rest` as well.
std::string_view next_item(std::string_view& rest) {
  int depth = 0;
  std::size_t end = 0;
  for (; end < rest.size() && (depth > 0 || rest[end] != ','); ++end) {
    if (rest[end] == '(') ++depth;
    if (rest[end] == ')') --depth;
  }
  const std::string_view item = rest.substr(0, end);
  rest.remove_prefix(std::min(rest.size(), end + 1));
  return item;
}

bool names_member(std::string_view item) {
  return item.starts_with("slave=") || item.starts_with("member=");
}

}  // namespace

bool Device::is_software() const {
  return !is_pci() && std::ranges::all_of(members, &Device::is_software);
}

std::string Device::option(std::string_view key) const {
  for (std::string_view rest = arguments; !rest.empty();) {
    const std::string_view item = next_item(rest);
    if (item.starts_with(key) && item.substr(key.size()).starts_with('='))
      return std::string(item.substr(key.size() + 1));
  }
  return {};
}

Device parse_device(std::string_view text) {
  Device device;
  device.name = next_item(text);
  if (device.is_pci() && std::ranges::count(device.name, ':') == 1) device.name = "0000:" + device.name;
  while (!text.empty()) {
    std::string item(next_item(text));
    if (names_member(item)) {
      const std::size_t value = item.find('=') + 1;
      std::string_view member = std::string_view(item).substr(value);
      if (member.starts_with('(') && member.ends_with(')')) member = member.substr(1, member.size() - 2);
      device.members.push_back(parse_device(member));
      item.replace(value, std::string::npos, device.members.back().name);
    }
    device.arguments += (device.arguments.empty() ? "" : ",") + item;
  }
  return device;
}

}  // namespace weir::dataplane
