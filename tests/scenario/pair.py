"""Two Weirs: one restarts while the other carries everything, and what that costs."""

import contextlib
import os
import signal
import time

from lab import bird, daemon, keepalived, load, net, pair, segment, site

GRACE_S = 1
DETECTED_AFTER_S = 0.9  # BFD: three times 300 ms
# Two protocols, so that each way can be taken away by itself, as the end of a BGP session would.
ROUTER_CONF = f"""
router id {pair.ROUTER};
protocol device {{}}
protocol kernel {{ ipv4 {{ export all; }}; merge paths on; }}
protocol static w1 {{ ipv4; route {site.VIP4}/32 via {pair.front("w1")}; }}
protocol static w2 {{ ipv4; route {site.VIP4}/32 via {pair.front("w2")}; }}
"""


@contextlib.contextmanager
def _two_weirs(report, **configured):
    """Yields (lab, {"w1": Weir, "w2": Weir}), both running, with three backends."""
    with pair.Pair(3) as lab, contextlib.ExitStack() as running:
        lab.start_servers()
        services = site.service("web", 80, "tcp", lab.members([(1, 1), (2, 1), (3, 1)]), site.WEB_PORT, (site.VIP4,))
        failed_before = report.failed
        weirs = {}
        try:
            for name in pair.NAMES:
                os.mkdir(lab.path(f"{name}.state"))
                weirs[name] = running.enter_context(
                    daemon.Weir(lab, report.binary, lab.config(services, name, **configured), name, namespace=name))
            yield lab, weirs
            for name, weir in weirs.items():
                difference, now = weir.difference_at_rest()
                report.check(f"{name}: conservation is exact at rest", difference == 0,
                             figure=f"received {now['received']}", why=f"difference {difference}")
        finally:
            if report.failed > failed_before:
                for name, weir in weirs.items():
                    counters = weir.cli("show", "drops").stdout if weir.is_running() else "(it does not run)"
                    net.say(f"{name}:\n{counters}\n{lab.log(name)}")


class _Load:
    """Three kinds of clients at once: wrk, connections that stay, and requests with a connection each."""

    def __init__(self, lab, seconds):
        client = lab.namespace("client")
        self.held = load.KeepAlive(client, site.VIP4, 80, 20)
        self.wrk = load.Wrk(lab, site.VIP4, 80, seconds, connections=16)
        self.fresh = load.Requests(client, site.VIP4, 80)

    def __enter__(self):
        self.held.__enter__()
        return self

    def __exit__(self, *_):
        self.held.__exit__()
        self.counted, self.tally = self.wrk.result(), self.fresh.stop()

    def check(self, report, what):
        held, wrk, fresh = self.held, self.counted, self.tally
        report.check(f"{what}: connections that stay go on, each on its backend",
                     not held.failures and held.moved == 0 and held.answered > 0,
                     figure=f"20 connections, {held.answered} answers",
                     why=f"lost {dict(held.failures)}, moved {held.moved}, {held.answered} answers")
        report.check(f"{what}: wrk loses nothing", wrk["failed"] == 0 and wrk["requests"] > 0,
                     figure=f"{wrk['requests']} requests on 16 connections", why=f"{wrk}")
        report.check(f"{what}: no new connection is lost", not fresh.failed and fresh.answers.total() > 0,
                     figure=f"{fresh.answers.total()} connections, the slowest {self.fresh.slowest_s:.2f} s",
                     why=fresh.why())


def restart_behind_ecmp(report):
    """Each of two Weirs behind equal-cost routes restarts under load: announced, and all of a sudden."""
    with _two_weirs(report, more=f"announce: {{segment: never}}\nstop: {{grace: {GRACE_S}s}}\n") as (lab, weirs), \
            bird.Bird(lab, "router", ROUTER_CONF) as router:
        lab.share_by_flow()
        lab.lead_replies_to("w1", "w2")
        _wait_for_ways(lab, 2)
        for what, end in (("planned restart", _leave), ("killed", _kill)):
            with _Load(lab, 16) as under:
                time.sleep(1)
                for name, other in (("w1", "w2"), ("w2", "w1")):
                    end(lab, router, weirs[name], name, other)
                    weirs[name].start()
                    router.ask("enable", name)
                    _wait_for_ways(lab, 2)
                    lab.lead_replies_to("w1", "w2")
                    time.sleep(2)
            under.check(report, what)
            adopted = {name: weir.show("drops")["events"]["flow_adopted"] for name, weir in weirs.items()}
            report.check(f"{what}: both carry flows again, adopted ones among them", all(adopted.values()),
                         figure=f"adopted since each began: {adopted}", why=f"{adopted}")


def _leave(lab, router, weir, name, other):
    """First the routes, then the Weir; its grace covers what is still under way to it."""
    router.ask("disable", name)
    lab.lead_replies_to(other)
    _wait_for_ways(lab, 1)
    weir.stop()


def _kill(lab, router, weir, name, other):
    """The routes follow when somebody has noticed."""
    os.kill(weir.pid, signal.SIGKILL)
    weir.wait()
    time.sleep(DETECTED_AFTER_S)
    router.ask("disable", name)
    lab.lead_replies_to(other)


def _wait_for_ways(lab, count, wait_s=5):
    deadline = time.monotonic() + wait_s
    while True:
        said = lab.namespace("router").ip("route", "show", f"{site.VIP4}/32").stdout
        if said.count("via ") == count:
            return
        if time.monotonic() > deadline:
            raise net.LabError(f"the router does not have {count} ways to the VIP: {said.strip() or 'none'}")
        time.sleep(0.05)


def keepalived_moves_the_vip(report):
    """keepalived on the twins of two Weirs moves the VIP, as it is stopped and as its Weir is killed, under load."""
    with _two_weirs(report, twin=True, more="announce: {segment: when_on_twin, interfaces: [uplink]}\n") as \
            (lab, weirs), contextlib.ExitStack() as running:
        router = lab.namespace("router")
        router.ip("route", "add", f"{site.VIP4}/32", "dev", "eth0")
        vrrp = {name: running.enter_context(keepalived.Keepalived(lab, name, keepalived.pair_conf(name)))
                for name in pair.NAMES}
        holder = _wait_for_holder(lab, ("w1", "w2"))
        other = "w2" if holder == "w1" else "w1"
        answers = _who_answers(router)
        report.check("the one whose twin has the VIP answers for it", answers == pair.mac(holder, 0),
                     why=f"{answers}, {holder} is {pair.mac(holder, 0)}")
        for what, end in (("keepalived stopped", lambda name: vrrp[name].stop()),
                          ("weir killed", lambda name: _kill_and_wait(weirs[name]))):
            with _Load(lab, 12) as under:
                time.sleep(1)
                end(holder)
                began = time.monotonic()
                _wait_for_holder(lab, (other,))
                took = time.monotonic() - began
                moved = _wait_for_entry(router, pair.mac(other, 0))
                time.sleep(3)
            report.check(f"{what}: the VIP moves", moved, figure=f"on the twin after {took:.2f} s",
                         why=f"the router has {segment.neighbor(router, site.VIP4, 'eth0')}")
            under.check(report, what)
            seen = weirs[other].show("drops")["events"]["vip_conflict"]
            report.check(f"{what}: a fail-over is no conflict", seen == 0, why=f"{seen} seen by {other}")
            if not weirs[holder].is_running():
                weirs[holder].start()
            vrrp[holder].start()  # back as the one that waits
            holder, other = other, holder


def _kill_and_wait(weir):
    os.kill(weir.pid, signal.SIGKILL)
    weir.wait()


def _wait_for_holder(lab, names, wait_s=15):
    """The first of the namespaces whose twin has the VIP."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        for name in names:
            shown = lab.namespace(name).run("ip", "-o", "addr", "show", "dev", "uplink", check=False).stdout
            if f" {site.VIP4}/" in shown:
                return name
        time.sleep(0.02)
    raise net.LabError(f"no twin of {' or '.join(names)} has {site.VIP4}")


def _who_answers(router, wait_s=10):
    """The MAC that answers the router's question for the VIP; asked again until one does."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if mac := segment.ask(router, "eth0", pair.ROUTER_MAC, pair.ROUTER, site.VIP4):
            return mac
    return None


def _wait_for_entry(namespace, mac, wait_s=10):
    deadline = time.monotonic() + wait_s
    while (has := segment.neighbor(namespace, site.VIP4, "eth0")) != mac and time.monotonic() < deadline:
        time.sleep(0.05)
    return has == mac


SCENARIOS = [restart_behind_ecmp, keepalived_moves_the_vip]
