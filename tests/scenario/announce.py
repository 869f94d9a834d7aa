"""VIPs on the segment: announced, defended, withdrawn."""

import os
import signal
import threading
import time

from lab import load, segment, site
from scenario import running

MEMBERS = [(1, 1), (2, 1)]
GRACE_S = 10
CLIENT4, CLIENT6 = "198.51.100.2", "2001:db8:1::2"


def _asked(lab, vip):
    """Who answers the client's question for the VIP."""
    source = CLIENT6 if ":" in vip else CLIENT4
    return segment.ask(lab.namespace("client"), "eth0", site.CLIENT_MAC, source, vip)


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


SCENARIOS = [stop_with_grace]
