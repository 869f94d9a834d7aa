#include "control/completion.h"

#include <fmt/format.h>

#include "control/show.h"

namespace weir::control {

namespace {

constexpr std::string_view kBash = R"(_weir() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command="" i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${{COMP_WORDS[i]}} in
      --socket) ((++i)) ;;
      -*) ;;
      *) command=${{COMP_WORDS[i]}}; break ;;
    esac
  done
  COMPREPLY=()
  case $before in
    -c|--config|--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    -o|--output) mapfile -t COMPREPLY < <(compgen -W "table json" -- "$word"); return ;;
    show) mapfile -t COMPREPLY < <(compgen -W "{nouns}" -- "$word"); return ;;
    trace) mapfile -t COMPREPLY < <(compgen -W "tcp udp" -- "$word"); return ;;
    completion) mapfile -t COMPREPLY < <(compgen -W "bash zsh" -- "$word"); return ;;
  esac
  if [ -z "$command" ]; then
    mapfile -t COMPREPLY < <(compgen -W "{commands} --socket" -- "$word")
    return
  fi
  local options="--help --socket"
  case $command in
    run|check) options="$options --config" ;;
    show) options="$options --output --service --protocol --client --backend" ;;
    trace) options="$options --config --output --mid-stream --interface" ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}}
complete -o filenames -F _weir weir
)";

constexpr std::string_view kZshBefore = "#compdef weir\nautoload -U +X bashcompinit && bashcompinit\n";

}  // namespace

std::string completion_script(std::string_view shell, const std::vector<std::string>& commands) {
  std::string noun_words;
  for (const Noun& noun : nouns()) noun_words += (noun_words.empty() ? "" : " ") + std::string(noun.name);
  const std::string bash =
      fmt::format(fmt::runtime(kBash), fmt::arg("nouns", noun_words), fmt::arg("commands", fmt::join(commands, " ")));
  return shell == "zsh" ? std::string(kZshBefore) + bash : bash;
}

}  // namespace weir::control
