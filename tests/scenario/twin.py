"""The kernel beside Weir: what is for the box itself is answered there, what passes through it arrives, and a flood of
it costs the VIPs nothing.
"""

import contextlib
import socket
import statistics
import threading
import time

from lab import bird, flood, load, net, site
from scenario import running

MEMBERS = [(1, 1), (2, 1)]
UPLINK = ("198.51.100.1", "2001:db8:1::1")
SERVERS = ("10.0.0.1", "fd00::1")


def own_addresses(report):
    """Ping and TCP to the addresses of the box, from both sides, are answered by the kernel; VIPs by Weir."""
    with running(report, MEMBERS, backends=2, twins=True) as (lab, weir):
        kernel_answers(report, lab, weir)
        tally = load.requests(lab.namespace("client"), site.VIP4, 80, 500)
        report.check("requests to a VIP: none fails", tally.failed == 0, figure="500", why=tally.why())
        twins(report, weir)


def vlan(report):
    """The same where the uplink's frames carry a VLAN tag: the kernel behind the twin never sees it. The client's
    frames are made by hand, since not every kernel has VLAN devices.
    """
    with running(report, MEMBERS, backends=2, twins=True) as (lab, weir):
        done = weir.reload(weir.yaml().replace("    port: p0\n", "    port: p0\n    vlan: 7\n"))
        report.check("the reload to a tagged uplink is taken", done.returncode == 0, why=done.stderr)
        wait_for_addresses(lab)
        client, box = lab.namespace("client"), lab.namespace("weir")
        box.ip("neigh", "replace", "198.51.100.2", "lladdr", site.CLIENT_MAC, "dev", "uplink", "nud", "permanent")
        answered = flood.tagged_echoes(client, site.UPLINK_MAC, vlan=7, count=5)
        now = weir.show("drops")["events"]
        report.check("tagged pings are answered by the kernel, tagged", answered == 5 and now["punted_own"] >= 5 and
                     now["answered_echo"] == 0, why=f"{answered} of 5, {now}")
        box.ip("neigh", "del", "198.51.100.2", "dev", "uplink")
        report.check("the kernel's own questions leave tagged", flood.tagged_question(client, box, vlan=7))


def transit(report):
    """A backend's own connection to the outside goes through the kernel of the box, if that forwards."""
    with running(report, MEMBERS, backends=2, twins=True) as (lab, weir):
        wait_for_addresses(lab)
        client, box, backend = (lab.namespace(name) for name in ("client", "weir", "b1"))
        client.ip("route", "add", "10.0.0.0/24", "via", UPLINK[0])
        client.ip("-6", "route", "add", "fd00::/64", "via", UPLINK[1])
        with echo_server(client, 7000):
            report.check("while the kernel does not forward, nothing passes",
                         not tcp_echo(backend, "198.51.100.2", 7000, wait_s=1.0))
            box.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
            for address in ("198.51.100.2", "2001:db8:1::2"):
                report.check(f"a backend's connection to {address} passes", tcp_echo(backend, address, 7000))
            weir.reload(weir.yaml().replace("services:\n", "transit: drop\nservices:\n", 1))
            report.check("with `transit: drop` it does not",
                         not tcp_echo(backend, "198.51.100.2", 7000, wait_s=1.0))
        now = weir.show("drops")
        report.check("transit is counted", now["events"]["punted_transit"] > 10 and now["drops"]["no_vip"] > 0,
                     figure=f"{now['events']['punted_transit']} punted", why=str(now["events"]))


def reload_adds_and_removes(report):
    """A twin comes and goes with a reload; one that cannot be made refuses it, and changes nothing."""
    with running(report, MEMBERS, backends=2) as (lab, weir):
        box = lab.namespace("weir")
        report.check("no twin at first", not has_device(box, "uplink"))
        without, with_twins = weir.yaml(), weir.yaml().replace("twin: false", "twin: true")
        report.check("a reload with twins is taken", weir.reload(with_twins).returncode == 0)
        report.check("and there they are", has_device(box, "uplink") and has_device(box, "servers"))
        kernel_answers(report, lab, weir)
        report.check("a reload without twins is taken", weir.reload(without).returncode == 0)
        report.check("and they are gone", wait_for(lambda: not has_device(box, "uplink")))
        report.check("Weir answers again itself", load.echoes(lab.namespace("client"), UPLINK[0], 3) == 3)
        box.ip("link", "add", "uplink", "type", "veth", "peer", "name", "other")
        done = weir.reload(with_twins)
        report.check("a name that is taken refuses the reload, in words", done.returncode == 1 and
                     "uplink" in done.stderr and "exists already" in done.stderr, why=done.stderr)
        report.check("and leaves no twin behind", not has_device(box, "servers"))
        box.ip("link", "del", "uplink")
        tally = load.requests(lab.namespace("client"), site.VIP4, 80, 200)
        report.check("requests to a VIP went on: none fails", tally.failed == 0, figure="200", why=tally.why())


def first_packets(report):
    """The first packets to neighbours that nobody knows yet are held and sent: no SYN is said twice."""
    with running(report, MEMBERS, backends=2, twins=True, neighbors=False) as (lab, weir):
        wait_for_addresses(lab)
        client, box = lab.namespace("client"), lab.namespace("weir")
        # The client knows the box and so does not ask for it, by which the box would learn of the client.
        client.ip("neigh", "replace", UPLINK[0], "lladdr", site.UPLINK_MAC, "dev", "eth0", "nud", "permanent")
        slowest, again = 0, retransmissions(client)
        for _ in range(5):
            for device in ("uplink", "servers"):
                box.run("ip", "neigh", "flush", "dev", device, check=False)
            box.run("ip", "neigh", "del", "198.51.100.2", "dev", "uplink", check=False)
            time.sleep(1.5)  # Weir asks the kernel for one neighbour once a second
            began = time.monotonic()
            tally = load.requests(client, site.VIP4, 80, 1, threads=1)
            slowest = max(slowest, time.monotonic() - began)
            report.check("a request right after the neighbours were forgotten succeeds", tally.failed == 0, why=tally.why())
        now, again = weir.show("drops"), retransmissions(client) - again
        report.check("packets were held and then sent", now["events"]["held_sent"] > 0 and now["held"] == 0 and
                     now["drops"]["neigh_unresolved"] == 0, figure=f"{now['events']['held_sent']} held and sent",
                     why=f"{now['events']['held_sent']} held and sent, {now['drops']['neigh_unresolved']} dropped")
        report.check("and none had to be said again", again == 0 and slowest < 1,
                     figure=f"slowest request {slowest * 1e3:.0f} ms", why=f"{again} retransmissions, {slowest:.2f} s")


def punt_flood(report):
    """Floods of everything that is for the kernel: VIPs lose nothing, the socket answers at once, BGP stays up."""
    with running(report, MEMBERS, backends=2, twins=True, neighbors=False) as (lab, weir):
        wait_for_addresses(lab)
        ours = bird.Bird(lab, "weir", bird.BASE.format(router_id=UPLINK[0]) + bird.bgp("upstream", flood.CLIENT, 65000, 65001))
        theirs = bird.Bird(lab, "client", bird.BASE.format(router_id=flood.CLIENT) + bird.bgp("weir", UPLINK[0], 65001, 65000))
        with ours, theirs:
            report.check("a BGP session comes up", ours.wait_up("upstream") is not None, why=ours.log())
            for kind in flood.KINDS:
                one_flood(report, lab, weir, kind, ours)


def one_flood(report, lab, weir, kind, ours):
    seconds = 12 if "BGP" in kind else 4  # the session's hold time is 9
    session = ours.ask("show", "protocols", "upstream").stdout
    requests, before = load.Requests(lab.namespace("client"), site.VIP4, 80), weir.show("drops")
    with flood.Flood(lab, kind, site.UPLINK_MAC) as flooding:
        latencies = answer_times(weir, seconds)
    now, tally = weir.show("drops"), requests.stop()

    punt_class, limit = flood.LIMITS[kind]
    punted = now["events"][f"punted_{punt_class}"] - before["events"][f"punted_{punt_class}"]
    over = now["drops"][f"punt_{punt_class}"] - before["drops"][f"punt_{punt_class}"]
    received = now["received"] - before["received"]
    report.check(f"flood of {kind}: requests to a VIP, none fails", tally.failed == 0 and tally.answers.total() > 10,
                 figure=f"{tally.answers.total()} answered beside {received / seconds:.0f} frames/s",
                 why=f"{tally.failed} failed: {tally.why()}")
    middle, slowest = statistics.median(latencies), sorted(latencies)[int(0.99 * len(latencies))]
    report.check(f"flood of {kind}: `show drops` answers within 100 ms", middle < 0.1,
                 figure=f"median {middle * 1e3:.1f} ms, p99 {slowest * 1e3:.1f} ms of {len(latencies)}")
    # Half as long again: the flood is a little longer than what was measured, and a bucket begins full.
    report.check(f"flood of {kind}: the limit holds, and what is over it is counted",
                 0 < punted <= limit * seconds * 1.5 and punted + over > flooding.sent / 4,
                 figure=f"{punted} punted as {punt_class}, {over} over {limit} a second",
                 why=f"{punted} punted as {punt_class}, {over} over, {flooding.sent} sent")
    after = ours.ask("show", "protocols", "upstream").stdout
    report.check(f"flood of {kind}: the BGP session stays up", "Established" in after and after == session,
                 why=f"{session}{after}{ours.log()}")


# ---- what they share ----

def kernel_answers(report, lab, weir):
    wait_for_addresses(lab)
    client, backend = lab.namespace("client"), lab.namespace("b1")
    with echo_server(lab.namespace("weir"), 7):
        for who, name, addresses in ((client, "the client", UPLINK), (backend, "a backend", SERVERS)):
            for address in addresses:
                before = weir.show("drops")["events"]
                answered = load.echoes(who, address, 5)
                now = weir.show("drops")["events"]
                by_kernel = now["punted_own"] - before["punted_own"] >= 5 and now["answered_echo"] == before["answered_echo"]
                report.check(f"pings by {name} to {address} are answered by the kernel", answered == 5 and by_kernel,
                             why=f"{answered} of 5, {now}")
                report.check(f"TCP from {name} to {address} is echoed by a server of the box",
                             tcp_echo(who, address, 7, size=200_000))
    before = weir.show("drops")["events"]["answered_echo"]
    answered = load.echoes(client, site.VIP4, 5)
    report.check("pings to a VIP are answered by Weir",
                 answered == 5 and weir.show("drops")["events"]["answered_echo"] == before + 5)


def wait_for_addresses(lab):
    """Until Weir has given the twins the addresses of the file."""
    box = lab.namespace("weir")
    for device, addresses in (("uplink", UPLINK), ("servers", SERVERS)):
        for address in addresses:
            if not wait_for(lambda d=device, a=address: f" {a}/" in box.run("ip", "addr", "show", "dev", d).stdout):
                raise net.LabError(f"{device} has not got {address}: {box.run('ip', 'addr').stdout}")


def has_device(namespace, name):
    return namespace.run("ip", "link", "show", name, check=False).returncode == 0


def wait_for(holds, seconds=5):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def twins(report, weir):
    rows = [twin for port in weir.show("ports")["ports"] for twin in port["twins"]]
    report.check("`show ports` counts frames to and from the kernel", {row["interface"] for row in rows} ==
                 {"uplink", "servers"} and all(row["to_kernel"] > 0 and row["from_kernel"] > 0 for row in rows),
                 why=str(rows))


@contextlib.contextmanager
def echo_server(namespace, port):
    """TCP: says back what it hears, one connection at a time."""
    with namespace.entered():
        listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with contextlib.suppress(OSError), connection:
                    while piece := connection.recv(65536):
                        connection.sendall(piece)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def tcp_echo(namespace, address, port, size=1000, wait_s=10.0):
    """Whether `size` bytes come back as they were sent."""
    said = bytes(range(256)) * (size // 256 + 1)
    try:
        with namespace.entered(), socket.create_connection((address, port), wait_s) as connection:
            sender = threading.Thread(target=lambda: (connection.sendall(said), connection.shutdown(socket.SHUT_WR)))
            sender.start()
            heard = b""
            while piece := connection.recv(65536):
                heard += piece
            sender.join()
        return heard == said
    except OSError:
        return False


def retransmissions(namespace):
    """TCP segments that this namespace has said again."""
    return int(namespace.run("nstat", "-asz", "TcpRetransSegs").stdout.split("TcpRetransSegs")[1].split()[0])


def answer_times(weir, seconds):
    """How long the socket takes for /v1/drops, again and again, without the start of a command."""
    times, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        began = time.monotonic()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(weir.socket)
            connection.sendall(b"GET /v1/drops HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n")
            while connection.recv(65536):
                pass
        times.append(time.monotonic() - began)
        time.sleep(0.02)
    return times


SCENARIOS = [own_addresses, vlan, transit, reload_adds_and_removes, first_packets, punt_flood]
