#include "config/syntax_cause.h"

#include <algorithm>
#include <vector>

namespace weir::config {

namespace {

std::size_t line_begin(std::string_view text, std::size_t at) {
  const auto newline = text.substr(0, at).rfind('\n');
  return newline == std::string_view::npos ? 0 : newline + 1;
}

std::size_t line_end(std::string_view text, std::size_t at) {
  return std::min(text.find('\n', at), text.size());
}

/// A quote or bracket means something only where a value may begin; later in a plain scalar it is a letter.
bool may_begin_value(std::string_view text, std::size_t at) {
  return at == 0 || std::string_view(" \t\n[{,").contains(text[at - 1]);
}

/// The first quoted scalar that runs over a line's end (no value of weir.yaml does), or the innermost bracket that is
/// open where the error was noticed.
std::optional<SyntaxCause> find_unclosed(std::string_view text, std::size_t noticed) {
  std::vector<std::size_t> brackets;
  for (std::size_t i = 0; i < noticed;) {
    const char c = text[i];
    const bool begins = may_begin_value(text, i);
    if ((c == '"' || c == '\'') && begins) {
      const auto close = find_closing_quote(text, i);
      if (!close || line_end(text, i) < *close)
        return SyntaxCause{i, "the quote opened here is not closed on its line"};
      i = *close + 1;
      continue;
    }
    if (c == '#' && begins) {
      i = line_end(text, i);
      continue;
    }
    if ((c == '[' || c == '{') && (begins || !brackets.empty())) brackets.push_back(i);
    if ((c == ']' || c == '}') && !brackets.empty()) brackets.pop_back();
    ++i;
  }
  if (brackets.empty()) return std::nullopt;
  return SyntaxCause{brackets.back(), "the bracket opened here is not closed"};
}

/// "ports", "port p0" or "ports:]" goes on as one long scalar over the lines below. A list's item may be one
/// word.
bool misses_key(std::string_view line) {
  const bool is_item = line.starts_with("- ");
  if (is_item) line.remove_prefix(std::min(line.find_first_not_of(" -"), line.size()));
  const bool begins_with_letter = !line.empty() && line.front() >= 'a' && line.front() <= 'z';
  const bool has_key = line.contains(": ") || line.ends_with(':') || line.ends_with(":\r");
  return begins_with_letter && !has_key && (!is_item || line.contains(' '));
}

/// A tab in the indentation of the line that does not parse, or of the last one above it that is not blank: there a
/// parser only says that something came where it may not.
std::optional<SyntaxCause> find_tab(std::string_view text, std::size_t noticed) {
  for (std::size_t begin = line_begin(text, noticed);; begin = line_begin(text, begin - 1)) {
    const std::string_view line = text.substr(begin, line_end(text, begin) - begin);
    const auto indentation = line.substr(0, std::min(line.find_first_not_of(" \t\r"), line.size()));
    const auto tab = indentation.find('\t');
    const bool is_blank = indentation.size() == line.size();
    if (tab != std::string_view::npos && !is_blank) return SyntaxCause{begin + tab, "a tab; YAML indents with spaces"};
    const bool is_above = begin < line_begin(text, noticed);
    if (begin == 0 || (is_above && !is_blank)) return std::nullopt;
  }
}

/// Looks at the last line above `noticed` that is neither blank nor a comment.
std::optional<SyntaxCause> find_missing_key(std::string_view text, std::size_t noticed) {
  for (std::size_t begin = line_begin(text, noticed); begin > 0;) {
    begin = line_begin(text, begin - 1);
    const std::string_view line = text.substr(begin, line_end(text, begin) - begin);
    const auto first = std::min(line.find_first_not_of(" \t\r"), line.size());
    if (first == line.size() || line[first] == '#') continue;
    if (!misses_key(line.substr(first))) return std::nullopt;
    return SyntaxCause{begin + first, "this line is no 'key: value'"};
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::size_t> find_closing_quote(std::string_view text, std::size_t open) {
  const char quote = text[open];
  for (std::size_t i = open + 1; i < text.size(); ++i) {
    const bool is_pair = quote == '"' ? text[i] == '\\' : text.substr(i, 2) == "''";
    if (is_pair) {
      ++i;  // \" or ''
    } else if (text[i] == quote) {
      return i;
    }
  }
  return std::nullopt;
}

std::optional<SyntaxCause> find_syntax_cause(std::string_view text, std::size_t noticed) {
  noticed = std::min(noticed, text.size());
  const std::size_t line = line_begin(text, noticed);
  if (const auto cause = find_unclosed(text, noticed); cause && cause->position < line) return cause;
  if (const auto cause = find_tab(text, noticed)) return cause;
  return find_missing_key(text, noticed);
}

}  // namespace weir::config
