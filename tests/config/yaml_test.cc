#include "config/yaml.h"

#include "tests/config/support.h"

namespace weir::config {
namespace {

/// The tree in one line: {key@line:column: value@...}, quoted scalars in quotes, nothing as ~.
std::string draw(const Node& n) {
  const std::string at = fmt::format("@{}", n.where);
  switch (n.kind) {
    case NodeKind::kEmpty: return "~" + at;
    case NodeKind::kRefused: return "!" + at;
    case NodeKind::kScalar: return (n.quoted ? "\"" + std::string(n.text) + "\"" : std::string(n.text)) + at;
    case NodeKind::kMap:
    case NodeKind::kSequence: break;
  }
  std::string out;
  for (const Node* c = n.first_child(); c != n.end(); c = c->next()) out += (out.empty() ? "" : " ") + draw(*c);
  return (n.kind == NodeKind::kMap ? "{" + out + "}" : "[" + out + "]") + at;
}

std::string tree_of(std::string_view text) {
  Problems problems;
  const auto tree = parse_yaml(text, problems);
  return tree ? draw(tree->root()) : "none";
}

TEST(Yaml, EveryNodeHasItsPlace) {
  EXPECT_EQ(tree_of("a: 1\nb:\n  - x\n  - {c: \"d\", e: 'f'}\n"),
            "{a@1:1 1@1:4 b@2:1 [x@3:5 {c@4:6 \"d\"@4:9 e@4:14 \"f\"@4:17}@4:5]@3:3}@1:1");
  EXPECT_EQ(tree_of("[]"), "[]@1:1");
  EXPECT_EQ(tree_of("a: |\n  lit\n"), "{a@1:1 \"lit\n\"@1:4}@1:1");
  EXPECT_EQ(tree_of("a: one\n  two\n"), "{a@1:1 one two@1:4}@1:1");
  EXPECT_EQ(tree_of("a: \"x\\ty\"\n"), "{a@1:1 \"x\ty\"@1:4}@1:1");
}

TEST(Yaml, NothingHasThePlaceOfItsKey) {
  EXPECT_EQ(tree_of("a:\nb: 1\n"), "{a@1:1 ~@1:1 b@2:1 1@2:4}@1:1");
  EXPECT_EQ(tree_of("a:\n# ~\nnull: 1\n"), "{a@1:1 ~@1:1 ~@3:1 1@3:7}@1:1");
  EXPECT_EQ(tree_of("a: ~\nb: null # x\n"), "{a@1:1 ~@1:4 b@2:1 ~@2:4}@1:1");
  EXPECT_EQ(tree_of("{a: , b: 1}"), "{a@1:2 ~@1:2 b@1:7 1@1:10}@1:1");
}

TEST(Yaml, ColumnsCountCharacters) {
  EXPECT_EQ(tree_of("é: [ü, \"ß\", x]"), "{é@1:1 [ü@1:5 \"ß\"@1:8 x@1:13]@1:4}@1:1");
  EXPECT_EQ(tree_of("\xef\xbb\xbf"
                    "a: 1"),
            "{a@1:1 1@1:4}@1:1");
  EXPECT_EQ(tree_of("a: 1\r\nb: 2\r\n"), "{a@1:1 1@1:4 b@2:1 2@2:4}@1:1");
}

TEST(Yaml, RefusesWhatTheTreeHasNoPlaceFor) {
  expect({
      {"", {"1:1: the file is empty"}},
      {"# only a comment\n", {"1:1: the file is empty"}},
      {"---\n", {"1:1: the file is empty"}},
      {"~\n", {"1:1: the file is empty"}},
      {"stop: {}\n---\nstop: {}\n", {"2:1: a second document begins here"}},
      {"{stop: {}}\nstop: {}\n", {"2:1: this is not part of the document that began at 1:1"}},
      {" stop: {}\nstop: {}\n", {"2:1: this is not part of the document that began at 1:2; look at its indentation"}},
      {"stop {}\n", {"1:1: the file: expected a mapping (key: value), found the text 'stop {}'"}},
      {"hash_key \"00\"\n[]\n", {"1:1: the file: expected a mapping"}},
      {"%YAML 1.2\n---\nstop: {}\n", {"1:1: directives (lines that begin with %) are not supported"}},
      {"stop: {}\n%memory: {}\n", {"2:1: directives"}},
      {"{stop: {}} x\n", {"1:12: this is not part"}},
      {"stop: &x {}\n", {"1:7: anchors (&name) are not supported"}},
      {"stop: &x {}\nmemory: *x\n", {"1:7: anchors", "2:9: aliases (*name) are not supported"}},
      {"stop: {}\n<<: {}\n", {"2:1: merge keys (<<) are not supported"}},
      {"workers: !!int 1\n", {"1:10: tags (!name) are not supported"}},
      {"workers: ! 1\n", {"1:10: tags"}},
      {"memory: !x {}\n", {"1:9: tags"}},
      {"stop: {}\n...\n", {}},
      {"--- \nstop: {}\n", {}},
      {"stop: {}\n? [a]\n: 1\n", {"2:3: the file: a key must be a word, found a list"}},
  });
}

TEST(Yaml, SyntaxErrorsHaveTheirPlace) {
  expect({
      {"stop: {}\nmemory: mbufs: 5\n", {"2:14: not valid YAML"}},
      {"stop: {}\n]\n", {"2:1: not valid YAML"}},
      {"hash_key: \"\\q\"\n", {"1:14: not valid YAML"}},
      {"a: *nowhere\n", {"1:4: not valid YAML"}},
  });
}

TEST(Yaml, SyntaxErrorsPointAtTheLineToMend) {
  expect({
      {"hash_key: \"00\nports: []\nstop: {grace: \"0s\"}\n",
       {"1:11: not valid YAML: the quote opened here is not closed on its line (noticed at 3:16: "}},
      {"hash_key: '00\n", {"1:11: not valid YAML: the quote opened here is not closed"}},
      {"hash_key: \"00\\\"\n", {"1:11: not valid YAML: the quote opened here is not closed"}},
      {"hash_key: ''''", {"1:11: hash_key: this text of 1 characters is not a key"}},
      {"hash_key: 'a''", {"1:11: not valid YAML: the quote opened here is not closed"}},
      {"ports:\n- {name: p0, device: d0\n- {name: p1, device: d1}\n",
       {"2:3: not valid YAML: the bracket opened here is not closed (noticed at 3:3: "}},
      {"routes: [\n  {to: x, # {\n  'it''s': [1, 2]},\nstop: {}\n", {"1:9: not valid YAML: the bracket opened here"}},
      {"é: \"ü\n\nb: \"x\"\n", {"1:4: not valid YAML: the quote opened here"}},
      {"stop: {}\nports\n  - {name: p0, device: d0}\n",
       {"2:1: not valid YAML: this line is no 'key: value' (noticed at 3:"}},
      {"ports:\n- name p0\n\n  # a comment: here\n  device: d0\n",
       {"2:1: not valid YAML: this line is no 'key: value' (noticed at 5:"}},
      {"stop: {}\n\tmemory: {}\n", {"2:1: not valid YAML: a tab; YAML indents with spaces (noticed at 2:2: "}},
      {"ports:\n  \t- {name: p0, device: d0}\n", {"2:3: not valid YAML: a tab; YAML indents with spaces"}},
      {"ports:\n- name: p0\n\tdevice: d0\n\t\n", {"3:1: not valid YAML: a tab; YAML indents with spaces"}},
      {"ports: [\n\t]\n\nc: d: e\n", {"2:1: not valid YAML: a tab"}},
      {"ports: [\n\t]\nb: {}\n\t\nc: d: e\n", {"5:5: not valid YAML: illegal map value"}},
      // A quote inside a plain scalar and a closed bracket are not suspected.
      {"a: it's[x\nb: {}\nc: d: e\n", {"3:5: not valid YAML: illegal map value"}},
  });
}

TEST(Yaml, RefusesBytesThatAreNoText) {
  using namespace std::string_literals;
  expect({
      {"a: \xff\n", {"1:4: byte 0xff is not valid UTF-8"}},
      {"é: \xc3(\n", {"1:4: byte 0xc3 is not valid UTF-8"}},
      {"a: \xc0\xaf\n", {"1:4: byte 0xc0", "1:5: byte 0xaf"}},                        // overlong
      {"a: \xed\xa0\x80\n", {"1:4: byte 0xed", "1:5: byte 0xa0", "1:6: byte 0x80"}},  // a surrogate
      {"a: \xf4\x90\x80\x80\n", {"1:4", "1:5", "1:6", "1:7"}},                        // beyond U+10FFFF
      {"stop: {}\na: \0"s, {"2:4: control character U+0000"}},
      {"a: \x04\n", {"1:4: control character U+0004"}},
      {"a: \x7f\n", {"1:4: control character U+007F"}},
      {"a: \xc2\x85\n", {"1:4: control character U+0085"}},
      {"a: 1\rb: 2\rc: 3", {"1:5: a carriage return without a line feed", "1:10: a carriage return"}},
      {"\xff\xfe"
       "a\0:\0"s,
       {"1:1: byte 0xff", "1:2: byte 0xfe", "1:4: control", "1:6: control"}},  // UTF-16
  });
  EXPECT_EQ(errors_of(std::string(100'000, '\xff')).size(), 10u);  // a binary file does not fill the screen
}

TEST(Yaml, CapsDepth) {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  Problems problems;
  EXPECT_TRUE(parse_yaml(nested(kMostDepth), problems));
  EXPECT_EQ(problems.error_count(), 0u);
  expect({{nested(kMostDepth + 1), {"1:65: nested deeper than 64 levels"}}});
  std::string flow, maps, block, keys;
  for (int i = 0; i < 100'000; ++i) flow += '[', maps += "{a: ", block += "- ", keys += "? ";
  for (const std::string& text : {flow, maps, block, keys}) {
    const auto errors = errors_of(text);
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_THAT(errors[0], testing::HasSubstr("nested deeper than 64 levels"));
  }
  std::string indented;
  for (std::size_t i = 0; i < 1000; ++i) indented += std::string(i, ' ') + "a:\n";
  EXPECT_THAT(errors_of(indented), testing::ElementsAre(testing::StartsWith("65:65: nested deeper")));
}

TEST(Yaml, AnAliasBombIsOnlyRefused) {
  std::string bomb = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 10; ++i) {
    bomb += fmt::format("a{}: &a{} [", i, i);
    for (int k = 0; k < 9; ++k) bomb += fmt::format("*a{}, ", i - 1);
    bomb += "]\n";
  }
  EXPECT_EQ(errors_of(bomb).size(), 10u + 10u + 81u);  // unknown keys, anchors, aliases
  EXPECT_FALSE(errors_of("a: &a [*a]\n").empty());
}

TEST(Yaml, CapsSizeAndTheNumberOfProblemsListed) {
  std::string text = "stop: {}\n#";
  text.resize(kMostBytes, 'x');
  EXPECT_EQ(errors_of(text), std::vector<std::string>{});
  text += 'x';
  EXPECT_THAT(errors_of(text),
              testing::ElementsAre("0:0: the file is larger than 64 MiB; split off what is not Weir's"));

  std::string keys;
  for (std::size_t i = 0; i < Problems::kMostListed; ++i) keys += "unknown: 1\n";
  EXPECT_EQ(errors_of(keys).size(), Problems::kMostListed);
  EXPECT_THAT(errors_of(keys + "u: 1\nv: 1\n").back(), testing::HasSubstr("2 more problems are not listed"));
}

TEST(Show, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(show("web"), "'web'");
  EXPECT_EQ(show("a\nb\x1b[31m\x7f\xc2\x9b"
                 "é"),
            "'a\\nb\\x1b[31m\\x7f\\x9bé'");
  EXPECT_EQ(show(std::string(4096, 'x')), "'" + std::string(64, 'x') + "...'");
  EXPECT_EQ(show(std::string(63, 'x') + "é"), "'" + std::string(63, 'x') + "...'");
}

}  // namespace
}  // namespace weir::config
