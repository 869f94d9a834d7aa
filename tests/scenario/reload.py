"""A change never breaks a flow it does not concern."""

import re
import time

from lab import load, site
from scenario import running

MEMBERS = [(1, 1), (2, 1), (3, 2)]
RELOADS = 50


def fifty_under_wrk(report):
    """Reloads that add, re-weight, drain and remove backend b4, and add and remove a second service."""
    with running(report, MEMBERS) as (lab, weir):
        client, members = lab.namespace("client"), lab.members(MEMBERS)
        newcomer = lab.backends[3]
        extra = site.service("extra", 81, "tcp", members, site.WEB_PORT)
        base = site.services(members)
        round_trip = [site.services([*members, (newcomer, 1)]), site.services([*members, (newcomer, 5)]) + extra,
                      site.services([*members, (newcomer, 0)]) + extra, base + extra, base]

        generation = weir.show("services")["generation"]
        with load.KeepAlive(client, site.VIP4, 80, 30) as held4, load.KeepAlive(client, site.VIP6, 80, 30) as held6:
            wrk = load.Wrk(lab, site.VIP4, 80, 15)
            single = load.Requests(client, site.VIP4, 80)  # a connection each, all the while
            took, refused = [], []
            for number in range(RELOADS):
                began = time.monotonic()
                done = weir.reload(lab.config(round_trip[number % len(round_trip)]))
                took.append(time.monotonic() - began)
                if done.returncode != 0:
                    refused.append((done.stdout + done.stderr).strip())
                time.sleep(max(0.02, 0.2 - took[-1]))
            report.check("wrk still runs after the last reload", wrk.is_running())
            tally, counted = single.stop(), wrk.result()
        report.check(f"{RELOADS} reloads are accepted", not refused,
                     figure=f"median {sorted(took)[len(took) // 2] * 1e3:.0f} ms", why=str(refused[:3]))
        now = weir.show("services")["generation"]
        report.check("each made one generation", now == generation + RELOADS, why=f"{generation} became {now}")
        report.check("wrk: no request fails", counted["failed"] == 0 and counted["requests"] > 1000,
                     figure=f"{counted['requests']} requests", why=str(counted))
        report.check("new connections: none fails", tally.failed == 0 and tally.answers.total() > 1000,
                     figure=f"{tally.answers.total()} connections", why=tally.why())
        report.check("new connections reach b4 too while it takes part", tally.answers[newcomer.name] > 0,
                     figure=f"{tally.answers[newcomer.name]}", why=str(tally.answers))
        for held, family in ((held4, "IPv4"), (held6, "IPv6")):
            report.check(f"established {family} connections: none is lost", held.answered > 0 and not held.failures,
                         figure=f"{held.answered} answers", why=str(held.failures))
            report.check(f"established {family} connections stay on their backend", held.moved == 0, why=f"{held.moved} moved")


def own_backend_leaves(report):
    """A connection outlives the removal and the draining of its own backend (design part 4: TCP keeps its flows)."""
    with running(report, MEMBERS) as (lab, weir):
        client, members = lab.namespace("client"), lab.members(MEMBERS)
        with load.KeepAlive(client, site.VIP4, 80, 20) as held:
            for text, kept in (("drained", [(b, 0 if b.name == "b3" else w) for b, w in members]),
                               ("removed", [m for m in members if m[0].name != "b3"])):
                done = weir.reload(lab.config(site.services(kept)))
                report.check(f"a reload with b3 {text} is accepted", done.returncode == 0, why=done.stdout + done.stderr)
                tally = load.requests(client, site.VIP4, 80, 2000)
                report.check(f"b3 {text}: new connections do not go there, and none fails",
                             not tally.failed and not tally.answers["b3"], why=f"{tally.why()}; {dict(tally.answers)}")
                time.sleep(0.3)
        report.check("connections to b3 go on, on b3", "b3" in held.names and not held.failures and not held.moved,
                     figure=f"{held.names.count('b3')} of {len(held.names)}", why=f"{held.failures}, {held.moved} moved")


def udp_moves_at_once(report):
    """UDP flows of a removed backend go elsewhere with their next packet; all others stay (design part 4)."""
    with running(report, MEMBERS) as (lab, weir):
        client, members = lab.namespace("client"), lab.members(MEMBERS)
        for vip in (site.VIP4, site.VIP6):
            weir.reload(lab.config(site.services(members)))
            before = load.dns(client, vip, 53, 2000, first_source_port=20_000).by_port
            weir.reload(lab.config(site.services([m for m in members if m[0].name != "b3"])))
            tally = load.dns(client, vip, 53, 2000, first_source_port=20_000)
            on_b3 = sum(name == "b3" for name in before.values())
            report.check(f"{vip}: flows of the removed backend move", on_b3 > 0 and not tally.failed and
                         not tally.answers["b3"], figure=f"{on_b3} flows", why=f"{tally.why()}; {dict(tally.answers)}")
            moved = sum(name != "b3" and tally.by_port.get(port) != name for port, name in before.items())
            report.check(f"{vip}: all others stay", moved == 0, figure=f"{len(before) - on_b3} flows", why=f"{moved} moved")


def refused(report):
    """A file that fails validation changes nothing and says why."""
    with running(report, MEMBERS) as (lab, weir):
        client, good = lab.namespace("client"), weir.yaml()
        before = weir.show("services"), weir.show("backends")
        cases = {"an unknown key, with a suggestion": (good.replace("scheduler:", "schedular:", 1), "scheduler"),
                 "a weight out of range": (good.replace("weight: 2", "weight: 70000", 1), "weight"),
                 "two errors at once": (good.replace("weight: 2", "weight: -1", 1).replace("mode: dnat", "mode: dant", 1), "dnat"),
                 "a VIP twice": (good + site.service("again", 80, "tcp", lab.members(MEMBERS), 8080), "web"),
                 "broken YAML": (good + "  - {name: [", "")}
        for what, (text, named) in cases.items():
            done = weir.reload(text)
            said = done.stdout + done.stderr
            places = re.findall(r"weir\.yaml:\d+:\d+: ", said)
            report.check(f"{what}: exit 1, naming the place", done.returncode == 1 and places and named in said,
                         figure=said.strip().split("\n")[0], why=f"exit {done.returncode}: {said.strip()}")
            if what == "two errors at once":
                report.check("both are listed", len(places) >= 2, why=said)
        done = weir.reload(good.replace("workers: 1", "workers: 2"))
        report.check("another number of workers is refused, naming the key", done.returncode == 1 and
                     "workers" in done.stdout + done.stderr, why=f"exit {done.returncode}: {done.stdout}{done.stderr}")
        done = weir.reload(good.replace("iface=vw1", "iface=vw9"))
        report.check("another device is refused, naming ports", done.returncode == 1 and
                     "ports" in done.stdout + done.stderr, why=f"exit {done.returncode}: {done.stdout}{done.stderr}")
        after = weir.show("services"), weir.show("backends")
        report.check("nothing has changed", _what_runs(before) == _what_runs(after), why=f"{before} became {after}")
        tally = load.requests(client, site.VIP4, 80, 500)
        report.check("traffic goes on", not tally.failed, why=tally.why())
        done = weir.reload(good)
        report.check("the unchanged file is the same generation", done.returncode == 0 and
                     weir.show("services")["generation"] == before[0]["generation"], why=done.stdout + done.stderr)


def _what_runs(shown):
    """Generation, services and backends without what counts traffic."""
    services, backends = shown
    return (services["generation"], [s["name"] for s in services["services"]],
            [(b["service"], b["address"], b["port"], b["weight"], b["state"]) for b in backends["backends"]])


SCENARIOS = [fifty_under_wrk, own_backend_leaves, udp_moves_at_once, refused]
