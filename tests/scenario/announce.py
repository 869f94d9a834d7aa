"""VIPs on the segment: announced, defended, withdrawn."""

import contextlib
import os
import signal
import threading
import time

from lab import daemon, load, net, segment, site
from scenario import running

MEMBERS = [(1, 1), (2, 1)]
GRACE_S = 10
CLIENT4, CLIENT6 = "198.51.100.2", "2001:db8:1::2"


def _asked(lab, vip):
    """Who answers the client's question for the VIP."""
    source = CLIENT6 if ":" in vip else CLIENT4
    return segment.ask(lab.namespace("client"), "eth0", site.CLIENT_MAC, source, vip)


@contextlib.contextmanager
def _heard_from_the_start(report, driver=None):
    """Yields (lab, Weir, what the client hears): the listening begins before Weir does."""
    with site.Site(2) as lab:
        lab.start_servers()
        weir = daemon.Weir(lab, report.binary, lab.config(site.services(lab.members(MEMBERS)), driver))
        failed_before = report.failed
        try:
            with segment.Listener(lab.namespace("client"), "eth0") as heard, weir:
                yield lab, weir, heard
                difference, _ = weir.difference_at_rest()
                report.check("conservation is exact at rest", difference == 0, why=f"difference {difference}")
        finally:
            if report.failed > failed_before:
                net.say(lab.log("weir"))


def _burst(heard, vip, mac=site.UPLINK_MAC):
    """Announcements of a VIP so far, and the times between them."""
    told = heard.of(vip, "advertisement" if ":" in vip else "gratuitous", mac)
    return told, [round(b.at - a.at, 2) for a, b in zip(told, told[1:])]


def _wait_for(holds, wait_s=10):
    deadline = time.monotonic() + wait_s
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    return holds()


def bursts(report):
    """A VIP that appears is announced three times on every interface, and who had another MAC for it has the right one."""
    old, new = "02:00:00:00:01:77", "203.0.113.11"
    with _heard_from_the_start(report) as (lab, weir, heard):
        client = lab.namespace("client")
        vips = (site.VIP4, site.VIP6)
        whole = _wait_for(lambda: all(len(_burst(heard, vip)[0]) >= 3 for vip in vips))
        for vip in vips:
            told, gaps = _burst(heard, vip)
            report.check(f"start: {vip} is announced three times, at 0, 1 and 3 s", whole and len(told) == 3 and
                         0.5 < gaps[0] < gaps[1] < 10, figure=f"{gaps} s apart", why=f"{len(told)} times, {gaps} s apart")
        first4, first6 = (_burst(heard, vip)[0][0] for vip in vips)
        report.check("IPv4: to all, by broadcast", first4.to == segment.BROADCAST, why=f"{first4}")
        report.check("IPv6: to all nodes, unsolicited, overriding, hop limit 255",
                     (first6.to, first6.solicited, first6.override, first6.hop_limit) ==
                     (segment.ALL_NODES, False, True, 255), why=f"{first6}")

        client.ip("neigh", "replace", new, "lladdr", old, "dev", "eth0", "nud", "stale")
        heard.clear()
        with segment.Listener(lab.namespace("b1"), "eth0") as at_backend:
            done = weir.reload(weir.yaml() + site.service("more", 80, "tcp", lab.members(MEMBERS), site.WEB_PORT, (new,)))
            report.check("a reload adds a VIP", done.returncode == 0, why=done.stderr)
            whole = _wait_for(lambda: len(_burst(heard, new)[0]) >= 3)
            report.check("reload: the new VIP is announced three times", whole and len(_burst(heard, new)[0]) == 3,
                         why=f"{len(_burst(heard, new)[0])} times")
            others = [vip for vip in vips if heard.of(vip, mac=site.UPLINK_MAC)]
            report.check("and those that stayed are not", not others, why=f"{others}")
            _wait_for(lambda: len(_burst(at_backend, new, site.SERVERS_MAC)[0]) >= 3)
            told = _burst(at_backend, new, site.SERVERS_MAC)[0]
            report.check("on the other interface too, with that one's MAC", len(told) == 3, why=f"{len(told)} times")
        now = segment.neighbor(client, new, "eth0")
        report.check("the client's ARP entry moves from an old MAC to Weir's", now == site.UPLINK_MAC, why=f"{now}")


def link_up(report):
    """A link that comes up hears about the VIPs anew."""
    with _heard_from_the_start(report, "af_packet") as (lab, weir, heard):
        client = lab.namespace("client")
        _wait_for(lambda: len(_burst(heard, site.VIP4)[0]) >= 3)
        client.ip("link", "set", "eth0", "down")
        _wait_for(lambda: "link is down" in lab.log("weir"))
        client.ip("link", "set", "eth0", "up")
        heard.clear()
        whole = _wait_for(lambda: len(_burst(heard, site.VIP4)[0]) >= 3)
        report.check("the VIP is announced three times again", whole, why=f"{len(_burst(heard, site.VIP4)[0])} times\n"
                     f"{lab.log('weir')}")
        report.check("the log says so", "link is up" in lab.log("weir"))


def conflict(report):
    """Another host claims the VIPs: counted, told in the log once in a while, and the VIPs are announced again."""
    other = "02:00:00:00:01:66"
    with _heard_from_the_start(report) as (lab, weir, heard):
        client = lab.namespace("client")
        _wait_for(lambda: all(len(_burst(heard, vip)[0]) >= 3 for vip in (site.VIP4, site.VIP6)))
        heard.clear()
        for _ in range(5):
            segment.send(client, "eth0", segment.arp(1, other, site.VIP4, "00:00:00:00:00:00", site.VIP4))
            segment.send(client, "eth0", segment.advertisement(other, site.VIP6))
        _wait_for(lambda: weir.show("drops")["events"]["vip_conflict"] >= 10)
        counted = weir.show("drops")["events"]["vip_conflict"]
        report.check("each claim is counted", counted == 10, why=f"{counted} of 10")
        for vip in (site.VIP4, site.VIP6):
            whole = _wait_for(lambda: _burst(heard, vip)[0])
            report.check(f"{vip} is defended by one announcement", whole and len(_burst(heard, vip)[0]) == 1,
                         why=f"{len(_burst(heard, vip)[0])}")
            told = [line for line in lab.log("weir").split("\n") if f"VIP {vip} " in line]
            report.check(f"{vip}: one line in the log says whose, where and how often",
                         len(told) == 1 and all(word in told[0] for word in (other, "uplink", "5 times")), why=f"{told}")


def stop_with_grace(report):
    """SIGTERM withdraws the VIPs at once; flows and new connections go on for `stop.grace`, then Weir ends."""
    with running(report, MEMBERS, more=f"stop: {{grace: {GRACE_S}s}}\n") as (lab, weir):
        client = lab.namespace("client")
        os.mkdir(lab.path("files"))
        sent = load.random_file(lab.path("files/bulk"), 32 << 20)
        before = [_asked(lab, vip) for vip in (site.VIP4, site.VIP6)]
        report.check("before: ARP and ND are answered for the VIPs", before == [site.UPLINK_MAC] * 2, why=f"{before}")
        received = []
        transfer = threading.Thread(daemon=True, target=lambda: received.append(
            load.download(client, site.VIP4, 80, "/files/bulk", bytes_a_second=8 << 20)))
        transfer.start()
        time.sleep(0.5)
        began = time.monotonic()
        os.kill(weir.pid, signal.SIGTERM)
        time.sleep(0.5)
        during = [_asked(lab, vip) for vip in (site.VIP4, site.VIP6)]
        report.check("withdrawn: neither ARP nor ND is answered for the VIPs", during == [None] * 2, why=f"{during}")
        own = [_asked(lab, own) for own in ("198.51.100.1", "2001:db8:1::1")]
        report.check("the box's own addresses are answered for on", own == [site.UPLINK_MAC] * 2, why=f"{own}")
        echoes = load.echoes(client, site.VIP4, 1)
        report.check("and echo is not answered", echoes == 0, why="it is")
        tally = load.requests(client, site.VIP4, 80, 10)
        report.check("what still arrives is balanced, new connections too", not tally.failed, why=tally.why())
        transfer.join()
        took = time.monotonic() - began
        report.check("the transfer under way ends within the grace, byte-equal",
                     received and received[0][0] == sent and weir.is_running(), figure=f"{took:.1f} s after SIGTERM",
                     why=f"{took:.1f} s after SIGTERM, running: {weir.is_running()}")
        code = weir.wait()
        took = time.monotonic() - began
        report.check("then Weir ends with status 0", code == 0 and GRACE_S <= took < GRACE_S + 5, figure=f"{took:.1f} s after SIGTERM",
                     why=f"status {code} after {took:.1f} s")
        weir.start()
        for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT)):
            began = time.monotonic()
            os.kill(weir.pid, first)
            time.sleep(0.3)
            waits = weir.is_running()
            os.kill(weir.pid, second)
            code = weir.wait()
            took = time.monotonic() - began
            report.check(f"{first.name} is patient, a second one is not", waits and code == 0 and took < 3,
                         figure=f"{took:.1f} s", why=f"waits: {waits}, status {code} after {took:.1f} s")
            weir.start()


SCENARIOS = [bursts, link_up, conflict, stop_with_grace]
