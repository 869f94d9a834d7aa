"""The kernel beside Weir: what is for the box itself is answered there, what passes through it arrives, and a flood of
it costs the VIPs nothing.
"""

import contextlib
import socket
import statistics
import threading
import time

from lab import flood, load, site
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
        give_addresses(lab)
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
        give_addresses(lab)
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


def punt_flood(report):
    """Floods of everything that is for the kernel: VIPs lose nothing, and the socket answers at once."""
    with running(report, MEMBERS, backends=2, twins=True) as (lab, weir):
        give_addresses(lab)
        client = lab.namespace("client")
        for kind in flood.KINDS:
            before = weir.show("drops")
            requests = load.Requests(client, site.VIP4, 80)
            with flood.Flood(lab, kind, site.UPLINK_MAC) as running_flood:
                latencies = answer_times(weir, seconds=4)
            sent = running_flood.sent
            tally = requests.stop()
            now = weir.show("drops")
            received = now["received"] - before["received"]
            punted = now["punted"] - before["punted"]
            punt_class, limit = flood.LIMITS[kind]
            of_class = now["events"][f"punted_{punt_class}"] - before["events"][f"punted_{punt_class}"]
            limited = now["drops"][f"punt_{punt_class}"] - before["drops"][f"punt_{punt_class}"]
            report.check(f"flood of {kind}: requests to a VIP, none fails", tally.failed == 0 and
                         tally.answers.total() > 10, why=f"{tally.failed} failed: {tally.why()}",
                         figure=f"{tally.answers.total()} answered; {sent / 4:.0f} frames/s sent, {received / 4:.0f} received, "
                                f"{punted / 4:.0f} punted, {limited / 4:.0f} over the limit")
            middle, slowest = statistics.median(latencies), sorted(latencies)[int(0.99 * len(latencies))]
            report.check(f"flood of {kind}: `show drops` answers within 100 ms", middle < 0.1,
                         figure=f"median {middle * 1e3:.1f} ms, p99 {slowest * 1e3:.1f} ms of {len(latencies)}")
            # Seconds as Weir saw them: the flood may have begun a little before this did.
            report.check(f"flood of {kind}: the limit holds, and what is over it is counted",
                         0 < of_class <= limit * 6 and of_class + limited > 0.8 * received,
                         figure=f"{of_class} punted as {punt_class}, {limited} over {limit} a second",
                         why=f"{of_class} punted as {punt_class}, {limited} over, {received} received")


# ---- what they share ----

def kernel_answers(report, lab, weir):
    give_addresses(lab)
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


def give_addresses(lab):
    """As the file says, where Weir has not done it."""
    box = lab.namespace("weir")
    for device, addresses in (("uplink", ("198.51.100.1/24", "2001:db8:1::1/64")),
                              ("servers", ("10.0.0.1/24", "fd00::1/64"))):
        for address in addresses:
            options = ["nodad"] if ":" in address else []
            box.ip("addr", "replace", address, "dev", device, *options)


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


SCENARIOS = [own_addresses, vlan, transit, reload_adds_and_removes, punt_flood]
