#include "control/cli.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <CLI/CLI.hpp>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <functional>
#include <optional>
#include <ostream>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "config/diff.h"
#include "config/load.h"
#include "config/schema.h"
#include "control/capture_command.h"
#include "control/check.h"
#include "control/completion.h"
#include "control/daemon.h"
#include "control/diff_text.h"
#include "control/endpoint.h"
#include "control/filters.h"
#include "control/host_check.h"
#include "control/http_client.h"
#include "control/plural.h"
#include "control/show.h"
#include "control/table.h"
#include "control/trace.h"
#include "control/url.h"
#include "control/version.h"

namespace weir::control {

namespace {

namespace json = boost::json;

/// A little over the daemon's own limit, so that its sentence arrives rather than ours.
constexpr auto kReplyTimeout = std::chrono::seconds(35);

/// Commands that the design has and this version has not.
constexpr std::array<std::string_view, 3> kLaterCommands{"top", "import", "ipvsadm"};

std::string text_at(const json::object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  return v != nullptr && v->is_string() ? std::string(v->get_string()) : "";
}

/// "10.0.0.5:8080" of {"address", "port"}.
std::string backend_at(const json::object& o) {
  const std::string address = text_at(o, "address");
  const auto* port = o.if_contains("port");
  const auto parsed = lb::parse_address(address);
  if (!parsed || port == nullptr || !port->is_int64()) return address;
  return lb::to_string(*parsed, static_cast<std::uint16_t>(port->get_int64()));
}

/// How a filter's value is written, for its help.
const char* type_of(std::string_view filter) {
  if (filter == "service") return "NAME";
  if (filter == "protocol") return "tcp|udp";
  if (filter == "state") return "new|replied|established|closing";
  if (filter == "worker" || filter == "limit") return "NUMBER";
  return "ADDRESS[:PORT]";
}

class Program {
 public:
  Program(std::ostream& out, std::ostream& err) : out_(out), err_(err) {}

  int main(int argc, const char* const* argv);

 private:
  // Each describes one command to the parser and says what it does.
  void add_run();
  void add_check();
  void add_diff();
  void add_reload();
  void add_show();
  void add_filters(CLI::App& command, std::span<const std::string_view> filters);
  void add_flush();
  void add_drain();
  void add_enable();
  void add_drain_options(CLI::App& command);
  void add_trace();
  void add_capture();
  void add_keygen();
  void add_schema();
  void add_version();
  void add_completion();
  int complete_line(std::span<const char* const> words);
  std::vector<std::string> names_of(std::string_view noun, const std::string& socket, const std::string& service);
  void add_later_commands();
  bool names_a_command(int argc, const char* const* argv);

  CLI::App* add(const std::string& name, const std::string& help, const std::string& example,
                std::function<int()> does);
  void add_socket(CLI::App& command);
  void add_output(CLI::App& command);

  int check_this_host();
  int diff();
  std::optional<config::Loaded> load(const std::string& file);
  std::optional<config::Loaded> load_running(int& exit_code);
  int reload();
  int show(std::string_view noun);
  int flush();
  int change_drain(const std::string& command);
  int trace();
  int trace_daemon(const TraceRequest& request);
  int keygen();
  int print_trace(const json::value& answer);
  std::optional<HttpReply> ask(const std::string& method, const std::string& target, int& exit_code);
  int refused(const HttpReply& reply);
  int usage(std::string_view sentence);

  std::ostream& out_;
  std::ostream& err_;
  CLI::App app_{"Weir, a layer-4 load balancer for bare metal, on DPDK.", "weir"};
  std::function<int()> action_;

  // What the options said.
  std::string socket_ = "/run/weir/weir.sock";
  std::vector<std::string> files_;
  std::string file_, user_;
  std::string output_ = "table";
  std::string log_format_ = "text", log_level_ = "info";
  Query filters_;
  std::string against_, backend_, service_;
  bool exit_code_ = false;
  bool all_ = false;
  std::string protocol_, source_, destination_, interface_, shell_;
  CaptureOptions capture_;
  bool mid_stream_ = false;
  bool host_ = false;
};

int Program::main(int argc, const char* const* argv) {
  app_.set_version_flag("--version", fmt::format("weir {}", version()));
  app_.require_subcommand(1);
  add_socket(app_);  // each command takes it too: operators write it first, last or in between
  app_.footer(
      "Exit codes: 0 done, 1 refused, 2 usage, 3 cannot reach the daemon, 4 the environment refused.\n"
      "`weir COMMAND --help` tells more about each.");
  add_run();
  add_check();
  add_diff();
  add_reload();
  add_show();
  add_drain();
  add_enable();
  add_flush();
  add_trace();
  add_capture();
  add_keygen();
  add_schema();
  add_version();
  add_completion();
  add_later_commands();
  if (argc > 2 && argv[1] == std::string_view("complete") && argv[2] == std::string_view("--"))
    return complete_line({argv + 3, static_cast<std::size_t>(argc - 3)});
  if (!names_a_command(argc, argv)) return kExitUsage;
  try {
    app_.parse(argc, argv);
    return action_();
  } catch (const CLI::ParseError& e) {
    return app_.exit(e, out_, err_) == 0 ? kExitDone : kExitUsage;
  }
}

CLI::App* Program::add(const std::string& name, const std::string& help, const std::string& example,
                       std::function<int()> does) {
  CLI::App* command = app_.add_subcommand(name, help);
  command->footer("Example: " + example);
  command->callback([this, does = std::move(does)] { action_ = does; });
  return command;
}

void Program::add_socket(CLI::App& command) {
  command.add_option("--socket", socket_, "the daemon's control socket")->type_name("PATH")->capture_default_str();
}

void Program::add_output(CLI::App& command) {
  command.add_option("-o,--output", output_, "table, for people; json, as docs/api.md has it")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORMAT")
      ->capture_default_str();
}

void Program::add_run() {
  CLI::App* command =
      add("run", "run in the foreground, until SIGTERM or SIGINT; SIGHUP reloads", "weir run -c /etc/weir/weir.yaml",
          [this] {
            if (file_ == "-")
              return usage("weir run: a reload could not read standard input again; name a file with -c");
            const bool has_socket = app_.get_subcommand("run")->count("--socket") + app_.count("--socket") > 0;
            return run_daemon({file_, has_socket ? std::optional(socket_) : std::nullopt, user_,
                               *parse_log_format(log_format_), *parse_log_level(log_level_)});
          });
  command->add_option("--log-format", log_format_, "text, for people; json, one object a line")
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("FORMAT")
      ->capture_default_str();
  command->add_option("--log-level", log_level_, "leave out what matters less than this")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->type_name("LEVEL")
      ->capture_default_str();
  command->add_option("-c,--config", file_, "the configuration")->required()->type_name("FILE");
  command->add_option("--socket", socket_, "control socket, instead of the file's control.socket")->type_name("PATH");
  command
      ->add_option("--user", user_,
                   "become this user when the ports are open, and keep CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK and "
                   "(AF_XDP) CAP_BPF alone")
      ->type_name("USER[:GROUP]");
}

void Program::add_check() {
  CLI::App* command =
      add("check", "check configuration files: exit 0, or 1 with every problem as file:line:column: message",
          "weir check -c weir.yaml", [this] {
            if (host_) return check_this_host();
            if (files_.empty()) return usage("weir check: give a file with -c");
            return check_files(files_, out_, err_) ? kExitDone : kExitRefused;
          });
  command->add_option("-c,--config", files_, "one file or several")->type_name("FILE");
  command->add_flag("--host", host_,
                    "look at this machine instead: what it lacks to run Weir (with -c: the file's ports, cores and "
                    "twins), one line each with the command that mends it; exit 1 if anything FAILs");
  command->add_option("--socket", socket_)->group("");  // each command takes it; this one asks no daemon
}

void Program::add_diff() {
  CLI::App* command =
      add("diff", "list what a reload of this file would change, and how many new flows would move; changes nothing",
          "weir diff -c /etc/weir/weir.yaml", [this] { return diff(); });
  command->add_option("-c,--config", file_, "the file as it would be reloaded")->required()->type_name("FILE");
  command->add_option("--against", against_, "compare with this file instead of what the daemon runs")
      ->type_name("FILE");
  command->add_flag("--exit-code", exit_code_, "exit 1 if there are changes (else 0, whether there are any or not)");
  add_output(*command);
  add_socket(*command);
}

void Program::add_reload() {
  CLI::App* command = add("reload", "read the configuration again (same as SIGHUP) and print the generation that runs",
                          "weir reload", [this] { return reload(); });
  add_socket(*command);
}

void Program::add_show() {
  CLI::App* show_command = app_.add_subcommand("show", "list what the running daemon knows");
  show_command->require_subcommand(1);
  add_socket(*show_command);
  show_command->footer("Example: weir show flows --service web -o json");
  for (const Noun& noun : nouns()) {
    CLI::App* command = show_command->add_subcommand(std::string(noun.name), std::string(noun.help));
    command->footer("Example: " + std::string(noun.example));
    command->callback([this, name = noun.name] { action_ = [this, name] { return show(name); }; });
    add_output(*command);
    add_socket(*command);
    add_filters(*command, noun.filters);
  }
}

void Program::add_filters(CLI::App& command, std::span<const std::string_view> filters) {
  for (const std::string_view filter : filters) {
    const std::string key(filter);
    const std::string help = key == "limit" ? "list this many instead of 1,000" : "only of this " + key;
    command
        .add_option_function<std::string>(
            "--" + key, [this, key](const std::string& value) { filters_[key] = value; }, help)
        ->type_name(type_of(filter));
  }
}

void Program::add_drain() {
  add_drain_options(*add("drain",
                         "give a backend no new flows; those it has go on. Holds over reloads and restarts until `weir "
                         "enable`; `weir show drains` lists them",
                         "weir drain 10.0.0.5:8080 --service web", [this] { return change_drain("drain"); }));
}

void Program::add_enable() {
  add_drain_options(*add("enable", "end a drain: the backend gets new flows again", "weir enable 10.0.0.5:8080",
                         [this] { return change_drain("enable"); }));
}

void Program::add_drain_options(CLI::App& command) {
  command
      .add_option("backend", backend_,
                  "as `weir show backends` has it: 10.0.0.5:8080, [fd00::5]:8080, or the address alone where the file "
                  "gives it no port")
      ->required()
      ->type_name("BACKEND");
  command.add_option("--service", service_, "in this service only (default: in every one that has it)")
      ->type_name("NAME");
  add_output(command);
  add_socket(command);
}

void Program::add_flush() {
  CLI::App* flush_command = app_.add_subcommand("flush", "forget flows");
  flush_command->require_subcommand(1);
  add_socket(*flush_command);
  flush_command->footer("Example: weir flush flows --backend 10.0.0.5:8080");
  CLI::App* command = flush_command->add_subcommand(
      "flows",
      "forget the flows that match and say how many. Nobody is told: a flow's next packet is new to Weir. In a "
      "hash-scheduled service it is adopted again, by the backend that the hash names now; where no backend is to "
      "take it, it is refused");
  command->footer("Example: weir flush flows --service web --client 192.0.2.7");
  command->callback([this] { action_ = [this] { return flush(); }; });
  add_filters(*command, flush_filters());
  command->add_flag("--all", all_, "every flow there is; needed where no filter is given");
  add_output(*command);
  add_socket(*command);
}

void Program::add_trace() {
  CLI::App* command = add(
      "trace", "tell what would happen to a packet, step by step, and why; sends nothing. Exits 0 whatever the verdict",
      "weir trace tcp 192.0.2.7:40000 203.0.113.10:80 -c weir.yaml", [this] { return trace(); });
  command->add_option("protocol", protocol_, "tcp or udp")->required()->type_name("PROTOCOL");
  command->add_option("source", source_, "the client, 192.0.2.7:40000 or [2001:db8::7]:40000")
      ->required()
      ->type_name("ADDRESS:PORT");
  command->add_option("destination", destination_, "the VIP, 203.0.113.10:80")->required()->type_name("ADDRESS:PORT");
  command->add_flag("--mid-stream", mid_stream_, "a TCP ACK of a connection under way, instead of a SYN");
  command
      ->add_option("--interface", interface_,
                   "where the packet comes in (default: where the route to its source points)")
      ->type_name("NAME");
  command->add_option("-c,--config", file_, "ask this file instead of the running daemon")->type_name("FILE");
  add_output(*command);
  add_socket(*command);
}

void Program::add_capture() {
  CLI::App* command = add("capture", "record what the workers receive, send and drop, and why, as pcapng",
                          "weir capture tcp port 80 and host 192.0.2.7 -w web.pcapng", [this] {
                            capture_.socket = socket_;
                            return capture(capture_, out_, err_);
                          });
  command->add_option("FILTER", capture_.filter, "only frames that match, in tcpdump's syntax (pcap-filter(7))");
  command->add_option("-w,--write", capture_.file, "write here; - is standard output")
      ->type_name("FILE")
      ->capture_default_str();
  command->add_flag("--drops", capture_.drops, "only what is dropped; with --drops=REASON, for this reason only");
  const auto option = [&](const std::string& key, const char* type, const char* help) {
    command
        ->add_option_function<std::string>(
            "--" + key, [this, key](const std::string& value) { capture_.query[key] = value; }, help)
        ->type_name(type);
  };
  option("points", "LIST", "where: rx, tx, drop, or some of them with commas (default: all)");
  option("interface", "NAME", "only on this interface or port");
  option("snaplen", "BYTES", "of each frame, no more than this (default: all)");
  option("count", "N", "end after so many frames");
  option("seconds", "N", "end after so long");
  option("rate", "N", "at most so many frames a second from each worker (default: 200000)");
  add_socket(*command);
}

void Program::add_keygen() {
  CLI::App* command = add("keygen", "print a random hash_key (32 hex digits); give all boxes of a group the same one",
                          "weir keygen", [this] { return keygen(); });
  command->add_option("--socket", socket_)->group("");
}

void Program::add_schema() {
  CLI::App* command = add("schema", "print the JSON Schema of weir.yaml, for editors and for checks elsewhere",
                          "weir schema > weir.schema.json", [this] {
                            out_ << config::schema_text();
                            return kExitDone;
                          });
  command->add_option("--socket", socket_)->group("");
}

void Program::add_version() {
  CLI::App* command = add("version", "print the version", "weir version", [this] {
    out_ << "weir " << version() << '\n';
    return kExitDone;
  });
  command->add_option("--socket", socket_)->group("");
}

void Program::add_completion() {
  CLI::App* command =
      add("completion", "print a completion script for a shell; services and backends are asked from the daemon",
          "weir completion bash > /usr/share/bash-completion/completions/weir", [this] {
            out_ << completion_script(shell_);
            return kExitDone;
          });
  command->add_option("--socket", socket_)->group("");
  command->add_option("shell", shell_, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

/// `weir complete -- WORD...`: what completion scripts ask at each Tab. Not for the parser: the words are unfinished.
int Program::complete_line(std::span<const char* const> words) {
  const std::vector<std::string> line(words.begin(), words.end());
  for (const std::string& word : complete(app_, line, [this](auto noun, const auto& socket, const auto& service) {
         return names_of(noun, socket, service);
       }))
    out_ << word << '\n';
  return kExitDone;
}

/// Names of services or backends that a shell can take as they are; none if the daemon does not answer at once.
std::vector<std::string> Program::names_of(std::string_view noun, const std::string& socket,
                                           const std::string& service) {
  Query query;
  if (!service.empty()) query["service"] = service;
  const auto reply = request(socket.empty() ? socket_ : socket, "GET",
                             format_target(fmt::format("/v1/{}", noun), query), "", std::chrono::seconds(1));
  boost::system::error_code broken;
  const json::value answer = reply ? json::parse(reply->body, broken) : json::value();
  const auto* object = broken ? nullptr : answer.if_object();
  const auto* list = object == nullptr ? nullptr : object->if_contains(noun);
  std::set<std::string> names;
  if (list != nullptr && list->is_array())
    for (const json::value& row : list->get_array())
      if (const auto* o = row.if_object()) names.insert(noun == "services" ? text_at(*o, "name") : backend_at(*o));
  std::erase_if(names, [](const std::string& n) {
    return n.empty() || std::ranges::any_of(n, [](unsigned char c) { return c <= ' ' || c == 0x7f; });
  });
  return {names.begin(), names.end()};
}

void Program::add_later_commands() {
  for (const std::string_view name : kLaterCommands) {
    CLI::App* command = app_.add_subcommand(std::string(name))->group("")->prefix_command();
    command->set_help_flag();
    command->callback(
        [this, name] { action_ = [this, name] { return usage(fmt::format("weir {}: not in this version", name)); }; });
  }
}

/// The parser itself would only say that a command is missing.
bool Program::names_a_command(int argc, const char* const* argv) {
  CLI::App* within = &app_;
  for (int i = 1; i < argc && !within->get_subcommands({}).empty(); ++i) {
    const std::string name = argv[i];
    if (name == "--socket") ++i;  // and what follows it
    if (name.starts_with("--socket")) continue;
    if (name.starts_with('-')) break;
    const auto named = within->get_subcommands([&name](const CLI::App* c) { return c->get_name() == name; });
    if (named.empty()) {
      err_ << fmt::format("weir: there is no \"{}\" here; `{} --help` lists what there is\n", printable(name),
                          within == &app_ ? "weir" : "weir " + within->get_name());
      return false;
    }
    within = named.front();
  }
  return true;
}

int Program::check_this_host() {
  if (files_.size() > 1) return usage("weir check --host: give one file at most");
  std::optional<config::Loaded> loaded;
  if (!files_.empty() && !(loaded = load(files_.front()))) return kExitRefused;
  const auto findings = check_host("", loaded ? &loaded->model : nullptr, built_for());
  out_ << host_text(findings);
  return has_failure(findings) ? kExitRefused : kExitDone;
}

int Program::diff() {
  const auto next = load(file_);
  if (!next) return kExitRefused;
  int exit_code = kExitRefused;
  const auto now = against_.empty() ? load_running(exit_code) : load(against_);
  if (!now) return exit_code;
  const config::Difference difference = config::diff(now->model, next->model);
  if (output_ == "json")
    out_ << json::serialize(diff_json(difference)) << '\n';
  else
    out_ << diff_text(difference);
  return exit_code_ && !difference.changes.empty() ? kExitRefused : kExitDone;
}

/// What is wrong with it, or nothing, is printed.
std::optional<config::Loaded> Program::load(const std::string& file) {
  auto loaded = config::load_file(file);
  if (loaded) return std::move(*loaded);
  for (const config::Diagnostic& e : loaded.error().errors) err_ << config::format(file, e) << '\n';
  return std::nullopt;
}

/// The daemon's, as it read it.
std::optional<config::Loaded> Program::load_running(int& exit_code) {
  const auto reply = ask("GET", "/v1/config", exit_code);
  if (!reply) return std::nullopt;
  boost::system::error_code broken;
  const json::value answer = json::parse(reply->body, broken);
  const auto* object = broken ? nullptr : answer.if_object();
  const auto* text = object == nullptr ? nullptr : object->if_contains("text");
  exit_code = kExitRefused;
  if (text == nullptr || !text->is_string()) {
    err_ << "weir: the daemon's answer holds no configuration\n";
    return std::nullopt;
  }
  auto loaded = config::load_text(text->get_string(), "what runs");
  if (loaded) return std::move(*loaded);
  err_ << "weir diff: this program cannot read what the daemon runs; are they of one version?\n";
  for (const config::Diagnostic& e : loaded.error().errors) err_ << config::format("what runs", e) << '\n';
  return std::nullopt;
}

int Program::reload() {
  int exit_code = kExitDone;
  const auto reply = ask("POST", "/v1/reload", exit_code);
  if (!reply) return exit_code;
  boost::system::error_code broken;
  const json::value answer = json::parse(reply->body, broken);
  const auto* object = broken ? nullptr : answer.if_object();
  const auto* generation = object == nullptr ? nullptr : object->if_contains("generation");
  if (generation == nullptr) {
    err_ << "weir: the daemon's answer to a reload is not understood\n";
    return kExitRefused;
  }
  if (const auto* warnings = object->if_contains("warnings"); warnings != nullptr && warnings->is_array())
    for (const json::value& w : warnings->get_array())
      if (w.is_string()) err_ << std::string_view(w.get_string()) << '\n';
  const auto* changed = object->if_contains("changed");
  const bool is_unchanged = changed != nullptr && changed->is_bool() && !changed->get_bool();
  out_ << "generation " << json::serialize(*generation) << (is_unchanged ? " (unchanged)" : "") << '\n';
  return kExitDone;
}

int Program::show(std::string_view noun) {
  int exit_code = kExitDone;
  const auto reply = ask("GET", format_target(fmt::format("/v1/{}", noun), filters_), exit_code);
  if (!reply) return exit_code;
  if (output_ == "json") {
    out_ << reply->body << '\n';
    return kExitDone;
  }
  boost::system::error_code broken;
  const json::value answer = json::parse(reply->body, broken);
  if (broken) {
    err_ << "weir: the daemon's answer is not JSON: " << broken.message() << '\n';
    return kExitRefused;
  }
  out_ << show_text(noun, answer);
  return kExitDone;
}

int Program::change_drain(const std::string& command) {
  if (!parse_backend_filter(backend_))
    return usage(fmt::format("weir {}: \"{}\" is no backend; write 10.0.0.5:8080, [fd00::5]:8080 or 10.0.0.5", command,
                             printable(backend_)));
  Query query{{"backend", backend_}};
  if (!service_.empty()) query["service"] = service_;
  int exit_code = kExitDone;
  const auto reply = ask("POST", format_target("/v1/" + command, query), exit_code);
  if (!reply) return exit_code;
  if (output_ == "json") {
    out_ << reply->body << '\n';
    return kExitDone;
  }
  boost::system::error_code broken;
  const json::value answer = json::parse(reply->body, broken);
  const auto* object = broken ? nullptr : answer.if_object();
  if (object == nullptr) {
    err_ << "weir: the daemon's answer is not understood\n";
    return kExitRefused;
  }
  if (const auto* warnings = object->if_contains("warnings"); warnings != nullptr && warnings->is_array())
    for (const json::value& w : warnings->get_array())
      if (w.is_string()) err_ << "warning: " << printable(std::string_view(w.get_string())) << '\n';
  const auto* changed = object->if_contains("changed");
  const bool is_unchanged = changed != nullptr && changed->is_bool() && !changed->get_bool();
  const std::string_view already = command == "drain" ? " was drained already" : " was not drained";
  out_ << backend_ << (is_unchanged ? already : command == "drain" ? " is drained" : " is enabled") << '\n';
  return kExitDone;
}

int Program::flush() {
  if (all_ == !filters_.empty())
    return usage(all_ ? "weir flush flows: --all takes no filter beside it; give one or the other"
                      : "weir flush flows: which ones? Give a filter, or --all for every flow there is");
  if (all_) filters_["all"] = "1";
  int exit_code = kExitDone;
  const auto reply = ask("DELETE", format_target("/v1/flows", filters_), exit_code);
  if (!reply) return exit_code;
  if (output_ == "json") {
    out_ << reply->body << '\n';
    return kExitDone;
  }
  boost::system::error_code broken;
  const json::value answer = json::parse(reply->body, broken);
  const auto* object = broken ? nullptr : answer.if_object();
  const auto* flushed = object == nullptr ? nullptr : object->if_contains("flushed");
  if (flushed == nullptr || !(flushed->is_int64() || flushed->is_uint64())) {
    err_ << "weir: the daemon's answer to a flush is not understood\n";
    return kExitRefused;
  }
  out_ << plural(flushed->to_number<std::uint64_t>(), "flow") << " flushed\n";
  return kExitDone;
}

int Program::trace() {
  TraceRequest request;
  if (protocol_ == "tcp")
    request.protocol = lb::Protocol::kTcp;
  else if (protocol_ == "udp")
    request.protocol = lb::Protocol::kUdp;
  else
    return usage(protocol_ == "sctp" ? "weir trace sctp: not in this version"
                                     : fmt::format("weir trace: protocol \"{}\" is neither tcp nor udp", protocol_));
  const auto source = parse_endpoint(source_);
  const auto destination = parse_endpoint(destination_);
  if (!source || !destination)
    return usage(
        fmt::format("weir trace: \"{}\" is no address with a port; write 192.0.2.7:40000 or [2001:db8::7]:40000",
                    source ? destination_ : source_));
  if (source->address.family() != destination->address.family())
    return usage("weir trace: source and destination are of different families; give two IPv4 or two IPv6 addresses");
  if (mid_stream_ && request.protocol != lb::Protocol::kTcp)
    return usage("weir trace: --mid-stream is about tcp; leave it out for udp");
  request.source = *source;
  request.destination = *destination;
  request.mid_stream = mid_stream_;
  request.interface = interface_;
  request.file = file_;
  if (file_.empty()) return trace_daemon(request);
  const auto answer = trace_file(request);
  if (answer) return print_trace(*answer);
  err_ << answer.error().message << '\n';
  return kExitRefused;
}

int Program::trace_daemon(const TraceRequest& request) {
  Query query{
      {"protocol", std::string(lb::name(request.protocol))}, {"source", source_}, {"destination", destination_}};
  if (request.mid_stream) query["mid_stream"] = "1";
  if (!request.interface.empty()) query["interface"] = request.interface;
  int exit_code = kExitDone;
  const auto reply = ask("GET", format_target("/v1/trace", query), exit_code);
  if (!reply) return exit_code;
  if (output_ == "json") {
    out_ << reply->body << '\n';
    return kExitDone;
  }
  boost::system::error_code broken;
  const json::value answer = json::parse(reply->body, broken);
  if (!broken) return print_trace(answer);
  err_ << "weir: the daemon's answer is not JSON: " << broken.message() << '\n';
  return kExitRefused;
}

int Program::print_trace(const json::value& answer) {
  if (output_ == "json")
    out_ << json::serialize(answer) << '\n';
  else
    out_ << trace_text(answer);
  return kExitDone;
}

int Program::keygen() {
  std::array<unsigned char, 16> key;
  if (::getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) {
    err_ << "weir: the kernel gives no random numbers\n";
    return kExitEnvironment;
  }
  out_ << fmt::format("{:02x}\n", fmt::join(key, ""));
  return kExitDone;
}

/// A reply with status 2xx; else says why not and sets the exit code.
std::optional<HttpReply> Program::ask(const std::string& method, const std::string& target, int& exit_code) {
  auto reply = request(socket_, method, target, "", kReplyTimeout);
  if (!reply) {
    err_ << "weir: " << reply.error().message << '\n';
    exit_code = kExitUnreachable;
    return std::nullopt;
  }
  if (reply->status / 100 == 2) return std::move(*reply);
  exit_code = refused(*reply);
  return std::nullopt;
}

/// Prints {"errors": [...]} line by line, or {"error": "..."}.
int Program::refused(const HttpReply& reply) {
  boost::system::error_code broken;
  const json::value answer = json::parse(reply.body, broken);
  const auto* object = broken ? nullptr : answer.if_object();
  const auto* errors = object == nullptr ? nullptr : object->if_contains("errors");
  const auto* error = object == nullptr ? nullptr : object->if_contains("error");
  if (errors != nullptr && errors->is_array()) {
    for (const json::value& e : errors->get_array())
      if (e.is_string()) err_ << std::string_view(e.get_string()) << '\n';
  } else if (error != nullptr && error->is_string()) {
    err_ << "weir: " << std::string_view(error->get_string()) << '\n';
  } else {
    err_ << "weir: the daemon refused with HTTP status " << reply.status << '\n';
  }
  return kExitRefused;
}

int Program::usage(std::string_view sentence) {
  err_ << sentence << '\n';
  return kExitUsage;
}

}  // namespace

int cli_main(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  return Program(out, err).main(argc, argv);
}

}  // namespace weir::control
