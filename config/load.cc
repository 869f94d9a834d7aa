#include "config/load.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "config/check.h"
#include "config/read.h"
#include "config/yaml.h"
#include "lb/result.h"

namespace weir::config {

namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) noexcept : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ > STDERR_FILENO) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

std::string errno_text() {
  return std::generic_category().message(errno);
}

/// Up to one byte more than kMostBytes, so that the parser sees a file that is too large.
lb::Result<std::string> read_all(int fd) {
  std::string text;
  std::size_t have = 0;
  while (have <= kMostBytes) {
    text.resize(std::min(kMostBytes + 1, std::max<std::size_t>(have * 2, 65536)));
    const ssize_t n = ::read(fd, text.data() + have, text.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return lb::fail("cannot be read: " + errno_text());
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  text.resize(have);
  return text;
}

lb::Result<std::string> read_file(const std::string& path) {
  if (path == "-") return read_all(STDIN_FILENO);
  // O_NONBLOCK: opening a fifo that nobody writes to would wait for ever.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) return lb::fail("cannot be opened: " + errno_text());
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return lb::fail("cannot be read: " + errno_text());
  if (S_ISDIR(status.st_mode)) return lb::fail("is a directory; name a file");
  if (!S_ISREG(status.st_mode)) return lb::fail("is not a regular file; name one, or - for standard input");
  if (static_cast<std::size_t>(status.st_size) > kMostBytes)
    return lb::fail(fmt::format("is larger than {} MiB; split off what is not Weir's", kMostBytes >> 20));
  return read_all(file.get());
}

std::string format_at(std::string_view file, Where where, std::string_view rest) {
  if (where == Where{}) return fmt::format("{}: {}", escape(file), rest);
  return fmt::format("{}:{}: {}", escape(file), where, rest);
}

}  // namespace

std::expected<Loaded, Refused> load_file(const std::string& path) {
  auto text = read_file(path);
  if (!text) return std::unexpected(Refused{.errors = {{{}, std::move(text.error().message)}}, .warnings = {}});
  return load_text(*text, path);
}

std::expected<Loaded, Refused> load_text(std::string_view text, std::string_view file_name) {
  Problems problems;
  Draft draft;
  if (const auto tree = parse_yaml(text, problems)) {
    draft = read_model(*tree, problems);
    check_model(draft, problems);
  }
  if (problems.error_count() > 0) {
    auto errors = problems.take_errors();
    return std::unexpected(Refused{std::move(errors), problems.take_warnings()});
  }
  draft.model.file = file_name;
  return Loaded{std::move(draft.model), problems.take_warnings(), std::string(text)};
}

std::string format(std::string_view file, const Diagnostic& error) {
  return format_at(file, error.where, error.message);
}

std::string format_warning(std::string_view file, const Diagnostic& warning) {
  return format_at(file, warning.where, "warning: " + warning.message);
}

}  // namespace weir::config
