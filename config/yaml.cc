#include "config/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <streambuf>

#include "config/syntax_cause.h"
#include "config/text.h"

namespace weir::config {

namespace {

/// Thrown through yaml-cpp to stop it; caught in parse_yaml(). Reported already.
struct Stop {};

/// An istream's source over bytes that stay where they are.
class TextBuffer : public std::streambuf {
 public:
  explicit TextBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // setg() wants it so; nothing writes
    setg(begin, begin, begin + text.size());
  }
};

/// Turns yaml-cpp's marks, which count bytes from 0, into places that count characters from 1. Marks come nearly in
/// order, so it remembers the last one and counts on from there: a line of a megabyte is counted once.
class Places {
 public:
  explicit Places(std::string_view text) : text_(text) {}

  Where operator()(const YAML::Mark& mark) {
    if (mark.is_null() || mark.line < 0 || mark.column < 0) return {1, 1};
    const auto line = static_cast<std::uint32_t>(mark.line) + 1;
    const auto position = std::min(static_cast<std::size_t>(mark.pos), text_.size());
    const auto column = std::min(static_cast<std::size_t>(mark.column), position);
    if (line != last_.line || position < position_) {
      last_ = {line, 1};
      position_ = position - column;
    }
    last_.column += static_cast<std::uint32_t>(count_characters(text_.substr(position_, position - position_)));
    position_ = position;
    return last_;
  }

 private:
  std::string_view text_;
  Where last_;
  std::size_t position_ = 0;
};

Where place_of(std::string_view text, std::size_t position) {
  const std::string_view before = text.substr(0, position);
  const auto line_begin = before.rfind('\n') + 1;  // npos + 1: the first line
  return {static_cast<std::uint32_t>(std::ranges::count(before, '\n')) + 1,
          static_cast<std::uint32_t>(count_characters(before.substr(line_begin))) + 1};
}

class Builder : public YAML::EventHandler {
 public:
  Builder(std::string_view text, Problems& problems) : text_(text), places_(text), problems_(problems) {
    tree_.nodes.reserve(text.size() / 8 + 16);  // a backend takes about 8 bytes a node; untouched pages cost nothing
  }

  Tree take() { return std::move(tree_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (tree_.nodes.empty()) return;
    const Where where = places_(mark);
    const Node& root = tree_.root();
    if (root.kind == NodeKind::kScalar) {
      problems_.error(root.where, "expected 'key: value', found the text {}", show(root.text));
    } else if (character_at(mark) == '-') {
      problems_.error(where, "a second document begins here; keep one, without '---' between its parts");
    } else {
      problems_.error(where,
                      "this is not part of the document that began at {}; look at its indentation, which must be the "
                      "same, and at brackets closed too early",
                      root.where);
    }
    throw Stop{};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const std::string_view written = null_text(mark);
    Node& n = add(written.empty() ? place_of_nothing(mark) : places_(mark), NodeKind::kEmpty, mark, "", anchor);
    n.text = written;
    ended();
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    const Node& n = add(places_(mark), NodeKind::kRefused, mark, "", 0);
    problems_.error(n.where, "aliases (*name) are not supported; write the value out");
    ended();
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node& n = add(places_(mark), NodeKind::kScalar, mark, tag, anchor);
    n.quoted = tag == "!";
    if (n.quoted) check_closed(n.where, mark);
    n.text = view_of(mark, n.quoted, value);
    ended();
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(NodeKind::kSequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(NodeKind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    std::size_t index;
    bool is_map;
    bool at_value = false;  // a map that has its key and waits for the value
    Where last;             // last child that began; for a value that is nothing
  };

  /// yaml-cpp gives an explicit tag's text, "!" for a quoted or block scalar and "?" for anything else; but "!" may be
  /// written out too, and then the node begins with it.
  Node& add(Where where, NodeKind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    const bool is_tagged = (!tag.empty() && tag != "!" && tag != "?") || (!tag.empty() && character_at(mark) == '!');
    if (is_tagged) problems_.error(where, "tags (!name) are not supported; remove it");
    if (anchor != 0)
      problems_.error(where, "anchors (&name) are not supported; remove it and write the value where it is needed");
    if (tree_.nodes.size() == kMostNodes) {
      problems_.error(where, "the file has more than {} values; split off what is not Weir's", kMostNodes);
      throw Stop{};
    }
    tree_.nodes.push_back({.where = where, .kind = is_tagged ? NodeKind::kRefused : kind});
    if (!open_.empty()) {
      if (!open_.back().at_value) open_.back().last = where;
    }
    return tree_.nodes.back();
  }

  void open(NodeKind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    add(places_(mark), kind, mark, tag, anchor);
    if (open_.size() == kMostDepth) {
      problems_.error(tree_.nodes.back().where, "nested deeper than {} levels; weir.yaml needs fewer than 10",
                      kMostDepth);
      throw Stop{};
    }
    open_.push_back(
        {.index = tree_.nodes.size() - 1, .is_map = kind == NodeKind::kMap, .last = tree_.nodes.back().where});
  }
  void close() {
    Node& n = tree_.nodes[open_.back().index];
    n.size = static_cast<std::uint32_t>(tree_.nodes.size() - open_.back().index);
    open_.pop_back();
    ended();
  }
  void ended() {
    if (!open_.empty() && open_.back().is_map) open_.back().at_value = !open_.back().at_value;
  }

  char character_at(const YAML::Mark& mark) const {
    return static_cast<std::size_t>(mark.pos) < text_.size() ? text_[static_cast<std::size_t>(mark.pos)] : '\0';
  }
  /// What stands for null at `mark`; "" if nothing is written: then the mark is at whatever comes next.
  std::string_view null_text(const YAML::Mark& mark) const {
    const auto at = std::min(static_cast<std::size_t>(mark.pos), text_.size());
    for (const std::string_view word : {"~", "null", "Null", "NULL"})
      if (text_.substr(at, word.size()) == word && is_end_of_value(at + word.size()))
        return text_.substr(at, word.size());
    return {};
  }
  /// "a:\nnull: 1" has nothing for a, and yaml-cpp's mark for that nothing is at the key `null`.
  bool is_end_of_value(std::size_t at) const {
    const auto after = std::min(text_.find_first_not_of(' ', at), text_.size());
    return after == text_.size() || (text_[after] == '#' && after > at) ||
           std::string_view("\t\r\n,]}").contains(text_[after]);
  }
  /// yaml-cpp's own mark for it is where the next thing begins, often lines below.
  Where place_of_nothing(const YAML::Mark& mark) {
    const bool is_key = !open_.empty() && open_.back().is_map && !open_.back().at_value;
    return open_.empty() || is_key ? places_(mark) : open_.back().last;
  }

  /// yaml-cpp takes a quote that is never closed for closed at the end of the file: half a file would pass.
  void check_closed(Where where, const YAML::Mark& mark) {
    const char quote = character_at(mark);
    if ((quote != '"' && quote != '\'') || find_closing_quote(text_, static_cast<std::size_t>(mark.pos))) return;
    problems_.error(where, "not valid YAML: the quote opened here is not closed");
    throw Stop{};
  }

  std::string_view view_of(const YAML::Mark& mark, bool quoted, const std::string& value) {
    const auto at = std::min(static_cast<std::size_t>(mark.pos) + (quoted ? 1 : 0), text_.size());
    if (text_.substr(at, value.size()) == value) return text_.substr(at, value.size());
    return tree_.unquoted.emplace_back(value);
  }

  std::string_view text_;
  Places places_;
  Problems& problems_;
  Tree tree_;
  std::vector<Open> open_;
};

void report_syntax_error(std::string_view text, const YAML::Exception& e, Problems& problems) {
  const Where noticed = Places(text)(e.mark);
  const auto cause = find_syntax_cause(text, e.mark.is_null() ? 0 : static_cast<std::size_t>(e.mark.pos));
  if (cause) {
    problems.error(place_of(text, cause->position), "not valid YAML: {} (noticed at {}: {})", cause->what, noticed,
                   e.msg);
  } else {
    problems.error(noticed, "not valid YAML: {}; look at indentation, colons, quotes and brackets here and just above",
                   e.msg);
  }
}

}  // namespace

std::optional<Tree> parse_yaml(std::string_view text, Problems& problems) {
  if (text.size() > kMostBytes) {
    problems.error({}, "the file is larger than {} MiB; split off what is not Weir's", kMostBytes >> 20);
    return std::nullopt;
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // a byte order mark
  if (!check_text(text, problems)) return std::nullopt;

  Builder builder(text, problems);
  try {
    TextBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Stop&) {
    return std::nullopt;
  } catch (const YAML::Exception& e) {
    report_syntax_error(text, e, problems);
    return std::nullopt;
  }
  Tree tree = builder.take();
  if (tree.nodes.empty() || tree.root().kind == NodeKind::kEmpty) {
    problems.error({1, 1}, "the file is empty; examples/first-light.yaml is a start");
    return std::nullopt;
  }
  return tree;
}

}  // namespace weir::config
