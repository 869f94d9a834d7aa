// The file's form: {"version": 1, "drains": [{"address", "port", "service", "since_s"}]}.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>

#include "control/drains.h"
#include "control/file_descriptor.h"

namespace weir::control {

namespace {

namespace json = boost::json;

constexpr std::int64_t kVersion = 1;

std::string errno_text() {
  return std::generic_category().message(errno);
}

std::string file_in(const std::string& state_dir) {
  return state_dir + "/drains.json";
}

std::string to_text(const std::vector<Drain>& drains) {
  json::array list;
  for (const Drain& d : drains)
    list.push_back(json::object{
        {"address", lb::to_string(d.address)}, {"port", d.port}, {"service", d.service}, {"since_s", d.since_s}});
  return json::serialize(json::object{{"version", kVersion}, {"drains", std::move(list)}}) + "\n";
}

std::optional<Drain> drain_from(const json::value& v) {
  const auto* o = v.if_object();
  const auto* address = o == nullptr ? nullptr : o->if_contains("address");
  const auto* port = o == nullptr ? nullptr : o->if_contains("port");
  const auto* service = o == nullptr ? nullptr : o->if_contains("service");
  const auto* since = o == nullptr ? nullptr : o->if_contains("since_s");
  if (address == nullptr || !address->is_string() || port == nullptr || !port->is_int64() || service == nullptr ||
      !service->is_string() || since == nullptr || !since->is_int64())
    return std::nullopt;
  const auto parsed = lb::parse_address(std::string_view(address->get_string()));
  if (!parsed || port->get_int64() < 0 || port->get_int64() > 65'535) return std::nullopt;
  return Drain{.address = *parsed,
               .port = static_cast<std::uint16_t>(port->get_int64()),
               .service = std::string(service->get_string()),
               .since_s = since->get_int64()};
}

/// None if it is anything but what to_text() writes.
std::optional<std::vector<Drain>> from_text(const std::string& text) {
  boost::system::error_code broken;
  const json::value all = json::parse(text, broken);
  const auto* o = broken ? nullptr : all.if_object();
  const auto* version = o == nullptr ? nullptr : o->if_contains("version");
  const auto* list = o == nullptr ? nullptr : o->if_contains("drains");
  if (version == nullptr || *version != kVersion || list == nullptr || !list->is_array()) return std::nullopt;
  std::vector<Drain> drains;
  for (const json::value& v : list->get_array()) {
    auto drain = drain_from(v);
    if (!drain) return std::nullopt;
    drains.push_back(std::move(*drain));
  }
  return drains;
}

std::string set_aside(const std::string& file, std::int64_t now_s) {
  const std::string aside = fmt::format("{}.broken-{}", file, now_s);
  if (::rename(file.c_str(), aside.c_str()) == 0) return "it is kept as " + aside;
  return fmt::format("it cannot be renamed to {} ({})", aside, errno_text());
}

lb::Result<void> write_all(const std::string& path, const std::string& text) {
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (!file) return lb::fail(fmt::format("{} cannot be made: {}", path, errno_text()));
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(file.get(), text.data() + at, text.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return lb::fail(fmt::format("{} cannot be written: {}", path, errno_text()));
    at += static_cast<std::size_t>(n);
  }
  if (::fsync(file.get()) != 0) return lb::fail(fmt::format("{} does not reach the disk: {}", path, errno_text()));
  return {};
}

}  // namespace

StoredDrains load_drains(const std::string& state_dir, std::int64_t now_s) {
  const std::string path = file_in(state_dir);
  std::ifstream file(path, std::ios::binary);
  const int why = errno;
  if (!file && (why == ENOENT || why == ENOTDIR)) return {};
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file || file.eof())
    if (auto drains = from_text(text)) return {.drains = std::move(*drains), .problem = {}};
  return {.drains = {},
          .problem = fmt::format("{} cannot be read, so no backend is drained by command: {}; see what it says and "
                                 "drain again",
                                 path, set_aside(path, now_s))};
}

lb::Result<void> save_drains(const std::string& state_dir, const std::vector<Drain>& drains) {
  const auto remedy = [&state_dir](const std::string& what) {
    return lb::fail(
        fmt::format("{}; make {} a directory that this user may write to, or set control.state_dir", what, state_dir));
  };
  std::error_code error;
  std::filesystem::create_directories(state_dir, error);
  if (error) return remedy(fmt::format("{} cannot be made: {}", state_dir, error.message()));
  const std::string path = file_in(state_dir), fresh = path + ".new";
  if (auto done = write_all(fresh, to_text(drains)); !done) {
    ::unlink(fresh.c_str());
    return remedy(done.error().message);
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0)
    return remedy(fmt::format("{} cannot be replaced: {}", path, errno_text()));
  const FileDescriptor directory(::open(state_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory) ::fsync(directory.get());  // the rename itself; where a file system refuses, the file is still whole
  return {};
}

}  // namespace weir::control
