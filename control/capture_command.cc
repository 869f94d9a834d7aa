#include "control/capture_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>

#include "control/capture_filter.h"
#include "control/exit_code.h"
#include "control/http_client.h"
#include "control/plural.h"
#include "lb/pcapng.h"

namespace weir::control {

namespace {

constexpr auto kAnswerTimeout = std::chrono::seconds(35);
constexpr auto kProgress = std::chrono::milliseconds(500);

/// Where the blocks go, whole ones only, so that the file is good however the capture ends.
class Sink {
 public:
  Sink(const CaptureOptions& options, std::ostream& out, std::ostream& err)
      : path_(options.file), out_(out), err_(err), shows_progress_(&err == &std::cerr && isatty(STDERR_FILENO) == 1) {}

  /// False: no more, complaint() says why.
  bool take(std::string_view bytes) {
    if (!blocks_.add(bytes)) return fail("what the daemon sends is no pcapng");
    if (!is_open_ && !open()) return fail(fmt::format("cannot write {}: {}", path_, std::strerror(errno)));
    std::ostream& to = path_ == "-" ? out_ : file_;
    const std::string_view whole = blocks_.take();
    to.write(whole.data(), static_cast<std::streamsize>(whole.size())).flush();
    written_ += whole.size();
    if (!to) return fail(path_ == "-" ? "nobody reads standard output any more" : "cannot write " + path_);
    show_progress();
    return true;
  }

  void summarize() {
    if (shows_progress_) err_ << "\r\033[K";
    err_ << fmt::format("{} captured\n", plural(blocks_.packets(), "frame"));
    if (!blocks_.has_totals()) return;
    const lb::PcapngStatistics& t = blocks_.totals();
    err_ << fmt::format("{} matched, of {} seen\n", t.matched, t.seen);
    err_ << fmt::format("{} not captured: {} over the rate, {} because a ring was full\n", t.over_rate + t.ring_full,
                        t.over_rate, t.ring_full);
  }
  [[nodiscard]] const std::string& complaint() const { return complaint_; }
  [[nodiscard]] bool has_begun() const { return is_open_; }

 private:
  bool open() {
    is_open_ = true;
    if (path_ != "-") file_.open(path_, std::ios::binary | std::ios::trunc);
    return path_ == "-" || file_.is_open();
  }
  bool fail(std::string complaint) {
    complaint_ = std::move(complaint);
    return false;
  }
  void show_progress() {
    const auto now = std::chrono::steady_clock::now();
    if (!shows_progress_ || now - shown_ < kProgress) return;
    shown_ = now;
    err_ << fmt::format("\r\033[K{}, {} kB; Ctrl-C ends", plural(blocks_.packets(), "frame"), written_ / 1000)
         << std::flush;
  }

  const std::string& path_;
  std::ostream& out_;
  std::ostream& err_;
  const bool shows_progress_;
  std::ofstream file_;
  lb::PcapngBlocks blocks_;
  bool is_open_ = false;
  std::uint64_t written_ = 0;
  std::chrono::steady_clock::time_point shown_;
  std::string complaint_;
};

/// {"error": "sentence"}.
std::string sentence_in(const HttpReply& reply) {
  boost::system::error_code broken;
  const boost::json::value answer = boost::json::parse(reply.body, broken);
  const auto* object = broken ? nullptr : answer.if_object();
  const auto* error = object == nullptr ? nullptr : object->if_contains("error");
  if (error == nullptr || !error->is_string())
    return fmt::format("the daemon refused with HTTP status {}", reply.status);
  return std::string(error->get_string());
}

int end_with(int exit_code, std::ostream& err, const std::string& sentence) {
  err << "weir capture: " << sentence << '\n';
  return exit_code;
}

}  // namespace

int capture(const CaptureOptions& options, std::ostream& out, std::ostream& err) {
  if (options.file == "-" && &out == &std::cout && isatty(STDOUT_FILENO) == 1)
    return end_with(kExitUsage, err,
                    "standard output is a terminal, and a capture is not text; write it to a file with -w FILE, or "
                    "into a program: weir capture | tshark -r -");
  Query query = options.query;
  if (!options.drops.empty()) {
    if (query.contains("points")) return end_with(kExitUsage, err, "--drops and --points exclude each other");
    query["points"] = "drop";
    if (options.drops != "true") query["reason"] = options.drops;
  }
  const auto filter = compile_filter(fmt::format("{}", fmt::join(options.filter, " ")));
  if (!filter) return end_with(kExitRefused, err, filter.error().message);

  ::signal(SIGPIPE, SIG_IGN);  // who reads us may end first: then our write says so
  Sink sink(options, out, err);
  const bool has_filter = !filter->empty();
  const auto reply = stream(options.socket, has_filter ? "POST" : "GET", format_target("/v1/capture", query),
                            has_filter ? lb::format_bpf(*filter) : "", kAnswerTimeout,
                            [&](std::string_view b) { return sink.take(b); });
  if (sink.has_begun()) sink.summarize();
  if (!sink.complaint().empty()) return end_with(kExitEnvironment, err, sink.complaint());
  if (!reply) return end_with(kExitUnreachable, err, reply.error().message);
  if (reply->status / 100 != 2) return end_with(kExitRefused, err, sentence_in(*reply));
  return kExitDone;
}

}  // namespace weir::control
