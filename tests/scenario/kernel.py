"""What the kernel knows about the twins reaches the workers: neighbours, routes, links and addresses, by hand and by
BIRD. Nothing of it stands in weir.yaml.
"""

import contextlib
import socket
import statistics
import subprocess
import threading
import time

from lab import bird, load, net, site
from scenario import running

MEMBERS = [(1, 1)]
FAR_BACKEND = "10.9.0.5"  # behind b1 or b2, whichever the route says
TIMES = 11


def neighbors(report):
    """Backends and client are found by the kernel; one that moves to another MAC is followed."""
    with running(report, [(1, 1), (2, 1)], backends=2, twins=True, neighbors=False) as (lab, weir):
        client = lab.namespace("client")
        for title, vip in (("IPv4", site.VIP4), ("IPv6", site.VIP6)):
            tally = load.requests(client, vip, 80, 500)
            report.check(f"requests over {title}: none fails, the first ones included", tally.failed == 0, figure="500",
                         why=tally.why())
        rows = {row["address"]: row for row in weir.show("neighbors")["neighbors"]}
        report.check("`show neighbors` has the kernel's", all(
            rows.get(a, {}).get("origin") == "kernel" and rows[a]["mac"] for a in ("10.0.0.11", "10.0.0.12", "198.51.100.2")),
                     why=str(rows))
        managed = lab.namespace("weir").run("ip", "neigh", "show", "dev", "servers").stdout
        report.check("the kernel keeps the backends resolved", managed.count("managed") >= 4, why=managed)
        before, entry = weir.yaml(), lambda: lab.namespace("weir").run("ip", "neigh", "show", "10.0.0.99").stdout
        weir.reload(before.replace("    backends:\n", '    backends:\n      - {address: 10.0.0.99, port: 8080}\n', 1))
        report.check("and one more that joins the file", wait_for(lambda: "managed" in entry()), why=entry())
        weir.reload(before)
        report.check("and no longer when it has left", wait_for(lambda: "managed" not in entry()), why=entry())
        said = weir.say("trace", "tcp", "198.51.100.2:40000", f"{site.VIP4}:80")
        report.check("`trace` names the backend's MAC", "02:00:00:00:02:01" in said, why=said)


def neighbor_moves(report):
    """`ip neigh replace` reaches the workers within a second, measured by packets; also under churn."""
    with running(report, MEMBERS, backends=1, twins=True, neighbors=False) as (lab, weir):
        box, backend = lab.namespace("weir"), lab.namespace("b1")
        load.requests(lab.namespace("client"), site.VIP4, 80, 10)

        def move(number):
            mac = f"02:00:00:00:07:{number:02x}"
            # The bridge learns the port of the new address by what the backend sends.
            backend.ip("link", "set", "eth0", "address", mac)
            backend.ip("route", "replace", "default", "via", "10.0.0.1")
            backend.run("ping", "-c", "1", "-W", "1", "10.0.0.1", check=False)
            began = time.monotonic()
            box.ip("neigh", "replace", "10.0.0.11", "lladdr", mac, "dev", "servers", "nud", "permanent")
            return began

        report_times(report, "`ip neigh replace`", [seconds_until_answered(lab, move(n)) for n in range(TIMES)])
        with churn(box):
            report_times(report, "`ip neigh replace` under churn",
                         [seconds_until_answered(lab, move(n + 100)) for n in range(TIMES)])


def routes(report):
    """`ip route replace` reaches the workers within a second, and traffic follows; also under churn."""
    with running(report, [(1, 1), (2, 1)], backends=2, twins=True, neighbors=False) as (lab, weir):
        box, client = lab.namespace("weir"), lab.namespace("client")
        for name in ("b1", "b2"):
            lab.namespace(name).ip("addr", "add", f"{FAR_BACKEND}/32", "dev", "lo")
        yaml = weir.yaml()
        far = f"""\
  - name: far
    vips: [{{address: 203.0.113.20, port: 80}}]
    protocol: tcp
    backends:
      - {{address: {FAR_BACKEND}, port: 8080, weight: 1}}
"""
        report.check("a backend behind a route that is not there yet is taken", weir.reload(yaml + far).returncode == 0)

        def lead_to(name):
            began = time.monotonic()
            box.ip("route", "replace", f"{FAR_BACKEND}/32", "via", f"10.0.0.1{name[1]}")
            return seconds_until_answer_is(client, "203.0.113.20", name, began)

        first = lead_to("b1")
        report.check("with `ip route add` it is reached", first is not None, figure=f"{(first or 0) * 1e3:.0f} ms")
        row = next((r for r in weir.show("routes")["routes"] if r["to"] == f"{FAR_BACKEND}/32"), {})
        report.check("`show routes` has it", row.get("origin") == "kernel" and row.get("used") is True, why=str(row))
        report_times(report, "`ip route replace`", [lead_to(("b2", "b1")[n % 2]) for n in range(TIMES)])
        with churn(box):
            report_times(report, "`ip route replace` under churn", [lead_to(("b1", "b2")[n % 2]) for n in range(TIMES)])

        box.ip("link", "set", "servers", "down")
        report.check("with the link down there is no way", wait_for(
            lambda: not any(r["to"] == f"{FAR_BACKEND}/32" for r in weir.show("routes")["routes"])))
        box.ip("link", "set", "servers", "up")
        up = lead_to("b1")
        report.check("up again, with its route again, it is reached", up is not None, figure=f"{(up or 0) * 1e3:.0f} ms")
        box.ip("route", "replace", "unreachable", f"{FAR_BACKEND}/32")
        before = weir.show("drops")["drops"]["no_route"]
        report.check("an unreachable route is none", wait_for(
            lambda: load.requests(client, "203.0.113.20", 80, 1, threads=1).failed == 1))
        report.check("and is counted as no_route", weir.show("drops")["drops"]["no_route"] > before)


def addresses(report):
    """An address added to a twin by hand is answered; a reload leaves it, and takes what leaves the file."""
    with running(report, MEMBERS, backends=1, twins=True, neighbors=False) as (lab, weir):
        box, client = lab.namespace("weir"), lab.namespace("client")
        said = box.run("ip", "addr", "show", "dev", "uplink").stdout
        report.check("the twin has the file's addresses", "198.51.100.1/24" in said and "2001:db8:1::1/64" in said, why=said)
        report.check("pings to them are answered", load.echoes(client, "198.51.100.1", 3) == 3 and
                     load.echoes(client, "2001:db8:1::1", 3) == 3)
        box.ip("addr", "add", "198.51.100.77/24", "dev", "uplink")
        report.check("pings to an address added by hand are answered",
                     wait_for(lambda: load.echoes(client, "198.51.100.77", 1) == 1))
        done = weir.reload(weir.yaml().replace("198.51.100.1/24, ", "198.51.100.1/24, 198.51.100.3/24, "))
        report.check("an address that joins the file is answered", done.returncode == 0 and
                     wait_for(lambda: load.echoes(client, "198.51.100.3", 1) == 1), why=done.stderr)
        done = weir.reload(weir.yaml().replace("198.51.100.3/24, ", ""))
        said = box.run("ip", "addr", "show", "dev", "uplink").stdout
        report.check("one that leaves the file leaves the twin, the other stays", done.returncode == 0 and
                     "198.51.100.3/" not in said and "198.51.100.77/" in said, why=said)


def bgp(report):
    """BIRD beside Weir: a VIP's route draws traffic, and a route learnt reaches the workers."""
    with running(report, MEMBERS, backends=1, twins=True, neighbors=False) as (lab, weir):
        router, far = lab.namespace("client"), lab.add_namespace("far")
        router.ip("route", "del", "203.0.113.0/24")
        router.sysctl("net.ipv4.ip_forward=1")
        net.wire(router, "eth1", "02:00:00:00:09:01", far, "eth0", "02:00:00:00:09:02")
        router.ip("addr", "add", "192.0.2.1/24", "dev", "eth1")
        far.ip("addr", "add", "192.0.2.2/24", "dev", "eth0")
        far.ip("route", "add", "default", "via", "192.0.2.1")
        ours = bird.Bird(lab, "weir", bird.BASE.format(router_id="198.51.100.1") +
                         f"protocol static {{ ipv4; route {site.VIP4}/32 blackhole; }}\n" +
                         bird.bgp("upstream", "198.51.100.2", 65000, 65001, exports="where source = RTS_STATIC"))
        theirs = bird.Bird(lab, "client", bird.BASE.format(router_id="198.51.100.2") +
                           "protocol direct { ipv4; interface \"eth1\"; }\n" +
                           bird.bgp("weir", "198.51.100.1", 65001, 65000, exports="where source = RTS_DEVICE"))
        with ours, theirs:
            took = ours.wait_up("upstream")
            report.check("the session with a router comes up through the twin", took is not None,
                         figure=f"{took or 0:.1f} s", why=ours.log() + theirs.log())
            report.check("the router has learnt the VIP's route",
                         wait_for(lambda: site.VIP4 in router.run("ip", "route", "show", "proto", "bird").stdout))
            learnt = wait_for(lambda: any(r["to"] == "192.0.2.0/24" and r["protocol"] == "bird" and r["used"]
                                          for r in weir.show("routes")["routes"]))
            report.check("the workers have the route that BIRD has learnt", learnt, why=str(weir.show("routes")))
            tally = load.requests(far, site.VIP4, 80, 300)
            report.check("a client behind the router reaches the VIP", tally.failed == 0, figure="300", why=tally.why())
        report.check("without BIRD its routes are gone", wait_for(
            lambda: not any(r["to"] == "192.0.2.0/24" for r in weir.show("routes")["routes"])))


# ---- what they share ----

def wait_for(holds, seconds=10):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def report_times(report, what, seconds):
    """A second is promised; on a busy machine a slow one does not prove the opposite, the median does."""
    known = [s for s in seconds if s is not None]
    middle = statistics.median(known) if known else float("inf")
    report.check(f"{what} reaches the workers within a second", len(known) == len(seconds) and middle < 1,
                 figure=f"median {middle * 1e3:.0f} ms, slowest {max(known, default=0) * 1e3:.0f} ms of {len(known)}",
                 why=f"{seconds}")


def seconds_until_answered(lab, began, wait_s=10):
    """From `began` until a DNS question through the VIP is answered; None if none is."""
    with lab.namespace("client").entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.01)
        while time.monotonic() - began < wait_s:
            s.sendto(load.dns_question(1), (site.VIP4, 53))
            with contextlib.suppress(TimeoutError, OSError):
                s.recv(512)
                return time.monotonic() - began
    return None


def seconds_until_answer_is(client, vip, name, began, wait_s=10):
    """From `began` until an HTTP request is answered by backend `name`."""
    while time.monotonic() - began < wait_s:
        with client.entered(), socket.socket() as s, contextlib.suppress(OSError):
            s.settimeout(0.1)
            s.connect((vip, 80))
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while piece := s.recv(4096):
                answer += piece
            if answer.endswith(f"{name}\n".encode()):
                return time.monotonic() - began
    return None


@contextlib.contextmanager
def churn(box, routes=500):
    """Routes and neighbours that come and go without pause beside what is measured."""
    stop = threading.Event()
    lines = "".join(f"route add 100.64.{n // 256}.{n % 256}/32 via 10.0.0.11\n"
                    f"neigh replace 10.0.0.{100 + n % 100} lladdr 02:00:00:00:08:{n % 256:02x} dev servers nud reachable\n"
                    for n in range(routes))
    lines += "".join(f"route del 100.64.{n // 256}.{n % 256}/32\n" for n in range(routes))

    def work():
        while not stop.is_set():
            subprocess.run(box.exec_argv("ip", "-force", "-batch", "-"), input=lines, text=True, capture_output=True)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


SCENARIOS = [neighbors, neighbor_moves, routes, addresses, bgp]
