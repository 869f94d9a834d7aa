#include "control/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace weir::control {

namespace {

// bash breaks words at ':' too; bash-completion's two functions mend that, and without it backends stay uncompleted.
constexpr std::string_view kBash = R"(_weir() {
  local cur=${COMP_WORDS[COMP_CWORD]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
  if declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref -n := -c cur -w words -i cword
  fi
  COMPREPLY=()
  local found
  mapfile -t found < <("${words[0]}" complete -- "${words[@]:1:cword}" 2>/dev/null)
  if [[ ${found[0]-} == :files ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    compopt -o filenames 2>/dev/null
    return
  fi
  COMPREPLY=("${found[@]}")
  if declare -F __ltrim_colon_completions >/dev/null; then
    __ltrim_colon_completions "$cur"
  fi
}
complete -F _weir weir
)";

constexpr std::string_view kZsh = R"(#compdef weir
_weir() {
  local -a found
  found=("${(@f)$("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ ${found[1]-} == :files ]]; then
    _files
  elif [[ -n ${found[1]-} ]]; then
    compadd -- "${found[@]}"
  fi
}
if [[ ${zsh_eval_context[-1]-} == loadautofunc ]]; then
  _weir "$@"
else
  compdef _weir weir
fi
)";

constexpr std::string_view kFish = R"(function __weir_complete
  set -l words (commandline -opc)
  set -l token (commandline -ct)
  set -l found ($words[1] complete -- $words[2..-1] "$token" 2>/dev/null)
  if test "$found[1]" = ":files"
    __fish_complete_path "$token"
  else
    printf '%s\n' $found
  end
end
complete -c weir -f -a '(__weir_complete)'
)";

using Words = std::vector<std::string>;

bool takes_value(const CLI::Option& o) {
  return o.get_items_expected_max() != 0;
}
bool has_name(const CLI::Option& o, const std::string& name) {
  const auto is = [&](const std::string& dashes, const auto& names) {
    return std::ranges::any_of(names, [&](const std::string& n) { return name == dashes + n; });
  };
  return is("--", o.get_lnames()) || is("-", o.get_snames());
}

/// Where the words before the last have led to.
struct Place {
  const CLI::App* command;
  const CLI::Option* wants_value = nullptr;  // the option that the last word belongs to
  std::size_t positionals = 0;
  std::string socket, service;  // as given so far
};

/// Of a command or, as every command takes --socket, of the program.
const CLI::Option* option_of(const CLI::App& command, const CLI::App& app, const std::string& name) {
  for (const CLI::App* where : {&command, &app})
    for (const CLI::Option* o : where->get_options())
      if (has_name(*o, name)) return o;
  return nullptr;
}

Place walk(const CLI::App& app, std::span<const std::string> words) {
  Place at{.command = &app, .socket = {}, .service = {}};
  const auto keep = [&at](const CLI::Option& o, const std::string& value) {
    if (has_name(o, "--socket")) at.socket = value;
    if (has_name(o, "--service")) at.service = value;
  };
  for (const std::string& word : words) {
    if (at.wants_value != nullptr) {
      keep(*std::exchange(at.wants_value, nullptr), word);
    } else if (word.starts_with('-')) {
      const auto equals = word.find('=');
      const CLI::Option* o = option_of(*at.command, app, word.substr(0, equals));
      if (o == nullptr || !takes_value(*o)) continue;
      if (equals == std::string::npos)
        at.wants_value = o;
      else
        keep(*o, word.substr(equals + 1));
    } else if (const auto next =
                   at.command->get_subcommands([&word](const CLI::App* c) { return c->get_name() == word; });
               !next.empty()) {
      at.command = next.front();
    } else {
      ++at.positionals;
    }
  }
  return at;
}

Words subcommands_of(const CLI::App& command) {
  Words out;
  for (const CLI::App* c : command.get_subcommands([](const CLI::App*) { return true; }))
    if (!c->get_group().empty()) out.push_back(c->get_name());
  return out;
}

Words options_of(const CLI::App& command) {
  Words out;
  for (const CLI::Option* o : command.get_options())
    if (!o->get_group().empty())
      for (const std::string& name : o->get_lnames()) out.push_back("--" + name);
  return out;
}

Words values_of(const CLI::Option& o, const Place& at, const AskNames& ask) {
  const auto is = [&o](const char* name) { return has_name(o, name); };
  if (is("--config") || is("--against") || is("--socket") || is("--write")) return {std::string(kFilesWanted)};
  if (is("--output")) return {"table", "json"};
  if (is("--protocol")) return {"tcp", "udp"};
  if (is("--state")) return {"new", "replied", "established", "closing"};
  if (is("--service")) return ask("services", at.socket, "");
  if (is("--backend")) return ask("backends", at.socket, at.service);
  return {};
}

Words arguments_of(const Place& at, const AskNames& ask) {
  const std::string& name = at.command->get_name();
  if (at.positionals > 0) return {};
  if (name == "drain" || name == "enable") return ask("backends", at.socket, at.service);
  if (name == "trace") return {"tcp", "udp"};
  if (name == "completion") return {"bash", "zsh", "fish"};
  return {};
}

}  // namespace

std::string completion_script(std::string_view shell) {
  return std::string(shell == "zsh" ? kZsh : shell == "fish" ? kFish : kBash);
}

std::vector<std::string> complete(const CLI::App& app, std::span<const std::string> words, const AskNames& ask) {
  if (words.empty()) return subcommands_of(app);
  const Place at = walk(app, words.first(words.size() - 1));
  std::string last = words.back(), before;
  Words found;
  if (const auto equals = last.find('=');
      at.wants_value == nullptr && last.starts_with("--") && equals != std::string::npos) {
    before = last.substr(0, equals + 1);
    last.erase(0, equals + 1);
    const CLI::Option* o = option_of(*at.command, app, before.substr(0, equals));
    if (o != nullptr) found = values_of(*o, at, ask);
  } else if (at.wants_value != nullptr) {
    found = values_of(*at.wants_value, at, ask);
  } else if (last.starts_with('-')) {
    found = options_of(*at.command);
  } else {
    found = subcommands_of(*at.command);
    if (found.empty()) found = arguments_of(at, ask);
    if (found.empty() && last.empty()) found = options_of(*at.command);
  }
  if (found == Words{std::string(kFilesWanted)}) return found;
  std::erase_if(found, [&last](const std::string& f) { return !f.starts_with(last); });
  for (std::string& f : found) f.insert(0, before);
  return found;
}

}  // namespace weir::control
