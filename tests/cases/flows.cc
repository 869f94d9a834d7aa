// Flows over time: timers, closing, adoption from either side.
#include <fmt/format.h>

#include "tests/cases/lab.h"
#include "tests/cases/words.h"

namespace weir::test {

namespace {

using lb::DropReason;
using lb::Event;
using std::chrono::seconds;

// ---- timers: one second before the end the flow is there, at the end it is not ----

void add_timers(Cases& cases) {
  for (const Talk& t : {web(), web6()}) {
    Case& in_time = add(cases, fmt::format("a SYN without an answer is known for 59 s ({})", t.vip));
    ask(in_time, t, kSyn);
    tell(in_time.passes(seconds(59)), t, kSyn | kAck).counts({});
    Case& late = add(cases, fmt::format("a SYN without an answer is forgotten after 60 s ({})", t.vip));
    ask(late, t, kSyn);
    late.passes(seconds(60)).in(t.told(kSyn | kAck)).drops(DropReason::kNoFlow).counts({Event::kFlowExpired});
    ask(late, t, kSyn).counts({Event::kFlowNew});
  }
  {
    const Talk t = web();
    Case& c = add(cases, "an answer that the client never took keeps the short timer");
    ask(c, t, kSyn), tell(c, t, kSyn | kAck);
    ask(c.passes(seconds(60)), t, kSyn).counts({Event::kFlowExpired, Event::kFlowNew});
  }
  for (const Talk& t : {web(), web6()}) {
    Case& c = add(
        cases, fmt::format(
                   "an established connection is known for 7,439 s of silence, again and again, and not for 7,440 ({})",
                   t.vip));
    open(c, t);
    tell(c.passes(seconds(7439)), t, kAck, "still here").counts({});
    ask(c.passes(seconds(7439)), t, kAck, "me too").counts({});
    ask(c.passes(seconds(7440)), t, kAck, "back").counts({Event::kFlowExpired, Event::kFlowAdopted});
  }
  const struct {
    const char* name;
    std::uint8_t client, endpoint;
  } closings[] = {{"the client's FIN", kFin | kAck, 0},
                  {"the backend's FIN", 0, kFin | kAck},
                  {"FINs of both", kFin | kAck, kFin | kAck},
                  {"the client's RST", kRst, 0},
                  {"the backend's RST", 0, kRst}};
  for (const auto& closing : closings) {
    for (const unsigned silence : {239u, 240u}) {
      const Talk t = web();
      Case& c = add(cases, fmt::format("after {}, the flow is {} after {} s", closing.name,
                                       silence < 240 ? "known" : "forgotten", silence));
      open(c, t);
      if (closing.client != 0) ask(c, t, closing.client);
      if (closing.endpoint != 0) tell(c, t, closing.endpoint);
      c.passes(seconds(silence));
      tell(c, t, kAck)
          .counts(silence < 240 ? std::vector<Event>{} : std::vector{Event::kFlowExpired, Event::kFlowAdopted});
    }
  }
  {
    const Talk t = dns();
    Case& c = add(cases, "a UDP flow without an answer is known for 29 s and not for 30");
    ask(c, t, 0, "?").counts({Event::kFlowNew});
    ask(c.passes(seconds(29)), t, 0, "??").counts({});
    ask(c.passes(seconds(30)), t, 0, "???").counts({Event::kFlowExpired, Event::kFlowNew});
  }
  for (const Talk& t : {dns(), dns6()}) {
    Case& c = add(
        cases, fmt::format("a UDP flow that both sides took part in is known for 299 s and not for 300 ({})", t.vip));
    open(c, t);
    tell(c.passes(seconds(299)), t, 0, "!").counts({});
    ask(c.passes(seconds(300)), t, 0, "?").counts({Event::kFlowExpired, Event::kFlowNew});
  }
}

// ---- closing, and taking it back ----

void add_closing(Cases& cases) {
  struct Kind {
    const char* name;
    std::uint8_t client, endpoint;
  };
  for (const Kind& k : {Kind{"the client", kRst, 0}, Kind{"the backend", 0, kRst}}) {
    const Talk t = web();
    Case& c = add(
        cases,
        fmt::format("a RST from {} ends nothing if the connection speaks again: a forged one does no harm", k.name));
    open(c, t);
    if (k.client != 0) ask(c, t, k.client).counts({});
    if (k.endpoint != 0) tell(c, t, k.endpoint).counts({});
    ask(c, t, kAck, "data").counts({});
    tell(c.passes(seconds(7439)), t, kAck, "data").counts({});
  }
  {
    const Talk t = web();
    Case& c = add(cases, "a forged FIN is taken back by the next segment of the same side, not by one of the other");
    open(c, t);
    ask(c, t, kFin | kAck), ask(c, t, kAck, "data");
    tell(c.passes(seconds(7000)), t, kAck, "data").counts({});
    tell(c, t, kFin | kAck), ask(c, t, kAck, "more");
    tell(c.passes(seconds(240)), t, kAck, "late").counts({Event::kFlowExpired, Event::kFlowAdopted});
  }
  {
    const Talk t = web();
    Case& c = add(cases, "after FINs of both sides the last ACK leaves the flow closing, and data takes it back");
    open(c, t);
    ask(c, t, kFin | kAck), tell(c, t, kFin | kAck), ask(c, t, kAck);
    ask(c.passes(seconds(239)), t, kAck).counts({});
    tell(c.passes(seconds(240)), t, kAck).counts({Event::kFlowExpired, Event::kFlowAdopted});
  }
  {
    const Talk t = web();
    Case& c = add(cases, "a SYN on a closing flow opens a new one");
    open(c, t);
    ask(c, t, kFin | kAck), tell(c, t, kFin | kAck);
    ask(c, t, kSyn).counts({Event::kFlowNew});
    tell(c, t, kSyn | kAck).counts({});
    ask(c, t, kAck).counts({Event::kFlowConfirmed});
  }
  {
    const Talk t = web();
    Case& c = add(cases, "a SYN on a live flow belongs to it: a retry, or a forgery that the backend judges");
    ask(c, t, kSyn).counts({Event::kFlowNew});
    ask(c, t, kSyn).counts({});
    tell(c, t, kSyn | kAck).counts({}), ask(c, t, kAck).counts({Event::kFlowConfirmed});
    ask(c, t, kSyn).counts({});
  }
  {
    const Talk t = web();
    Case& c = add(cases, "a SYN that its victim's RST follows confirms nothing");
    ask(c, t, kSyn), tell(c, t, kSyn | kAck), ask(c, t, kRst).counts({});
    ask(c, t, kRst | kAck).counts({});
  }
  {
    Talk a{.client_port = fresh_port(), .vip = "203.0.113.16", .server = 10};
    Talk b = a;
    b.vip = "203.0.113.17", b.vip_port = 81;
    Case& c = add(cases, "a tuple clash is over when the first flow is");
    ask(c, a, kSyn);
    c.passes(seconds(59)).in(b.asked(kSyn)).drops(DropReason::kTupleClash);
    ask(c.passes(seconds(1)), b, kSyn).counts({Event::kFlowNew});
    tell(c, b, kSyn | kAck);
  }
}

// ---- adoption: after a restart or a fail-over the other box knows nothing ----

void add_adoption(Cases& cases) {
  for (const auto& [name, talk] : {std::pair("TCP over IPv4", web()), std::pair("TCP over IPv6", web6())}) {
    Talk other = talk;
    other.client_port = fresh_port();
    Case& c = add(cases, fmt::format("{}: a connection in mid-stream is adopted from its client", name));
    ask(c, talk, kAck, "data").counts({Event::kFlowAdopted});
    tell(c, talk, kAck, "data").counts({});
    ask(c, talk, kAck).counts({Event::kFlowConfirmed});
    Case& back = add(cases, fmt::format("{}: a connection in mid-stream is adopted from its backend", name));
    tell(back, other, kAck, "data").counts({Event::kFlowAdopted});
    ask(back, other, kAck).counts({Event::kFlowConfirmed});
  }
  for (const Talk& t : {dns(), dns6()})
    tell(add(cases, fmt::format("UDP is adopted from its backend ({})", t.vip)), t, 0, "answer")
        .counts({Event::kFlowAdopted});
  {
    const Talk t = web();
    Case& c = add(cases, "a FIN is adopted from either side");
    ask(c, t, kFin | kAck).counts({Event::kFlowAdopted});
    tell(c, web(), kFin | kAck).counts({Event::kFlowAdopted});
  }
  {
    const Talk t = web();
    Case& c = add(cases, "a RST is handed on from either side and leaves no flow");
    ask(c, t, kRst).counts({}), ask(c, t, kRst | kAck).counts({});
    tell(c, t, kRst).counts({}), tell(c, t, kRst | kAck).counts({});
    ask(c, t, kSyn).counts({Event::kFlowNew});
  }
  {
    const Talk t = web();
    add(cases, "a SYN-ACK is adopted from neither side, nor a backend's own SYN")
        .in(t.told(kSyn | kAck))
        .drops(DropReason::kNoFlow)
        .counts({})
        .in(t.asked(kSyn | kAck))
        .drops(DropReason::kNoFlow)
        .counts({})
        .in(t.told(kSyn))
        .drops(DropReason::kNoFlow)
        .counts({});
  }
  {
    const Talk shared{.client_port = fresh_port(), .vip = "203.0.113.16", .server = 10};
    const Talk two{.client_port = fresh_port(), .vip = "203.0.113.14", .server = 9};
    add(cases, "where an endpoint serves more than one VIP, nobody can tell which was asked: not adopted from it")
        .in(shared.told(kAck, "data"))
        .drops(DropReason::kNoFlow)
        .in(two.told(kAck, "data"))
        .drops(DropReason::kNoFlow);
  }
  {
    Talk in_range{
        .client_port = fresh_port(), .vip = "203.0.113.12", .vip_port = 5555, .server = 7, .server_port = 5555};
    Talk outside = in_range;
    outside.server_port = 6000;
    const Talk folded{
        .client_port = fresh_port(), .vip = "203.0.113.12", .vip_port = 7001, .server = 12, .server_port = 9000};
    Case& c = add(cases, "a range's backend is adopted on the range's ports only, and not where many ports became one");
    tell(c, in_range, kAck, "data").counts({Event::kFlowAdopted});
    ask(c, in_range, kAck).counts({Event::kFlowConfirmed});
    c.in(outside.told(kAck, "data")).drops(DropReason::kNoFlow);
    c.in(folded.told(kAck, "data")).drops(DropReason::kNoFlow);
  }
  {
    Talk drained{.client_port = fresh_port(), .vip = "203.0.113.31", .server_port = 8082};
    add(cases, "a drained backend's unknown connection is not adopted from it: its VIP's hash names another, or none")
        .in(drained.told(kAck, "data"))
        .drops(DropReason::kNoFlow);
  }
  const auto port = fresh_port();
  add(cases, "a backend's own outbound traffic is not ours to carry")
      .in(from_server().ipv4("10.0.0.5", "192.0.2.80").tcp(port, 443, kSyn))
      .drops(DropReason::kNoVip)
      .in(from_server().ipv4("10.0.0.5", "192.0.2.80").tcp(8080, 443, kSyn))
      .drops(DropReason::kNoFlow)
      .in(from_server(8).ipv4("10.0.0.8", "192.0.2.80").tcp(port, 443, kSyn))
      .drops(DropReason::kNoFlow);
  {
    const Talk t = web();
    Talk other = t;
    other.client = "192.0.2.99";
    Case& c = add(cases, "a backend's packet to another client than the flow's is of no flow");
    open(c, t);
    c.in(other.told(kSyn | kAck)).drops(DropReason::kNoFlow);
  }
  {
    const Talk a = web(), b = web6();
    Case& c = add(cases, "TCP and UDP of one client port, and both families, are flows apart");
    Talk u = dns();
    u.client_port = a.client_port;
    Talk v = b;
    v.client_port = a.client_port;
    ask(c, a, kSyn).counts({Event::kFlowNew}), ask(c, u, 0, "?").counts({Event::kFlowNew}),
        ask(c, v, kSyn).counts({Event::kFlowNew});
    tell(c, v, kSyn | kAck).counts({}), tell(c, u, 0, "!").counts({}), tell(c, a, kSyn | kAck).counts({});
  }
}

}  // namespace

Cases flow_cases() {
  Cases cases;
  add_timers(cases);
  add_closing(cases);
  add_adoption(cases);
  return cases;
}

}  // namespace weir::test
