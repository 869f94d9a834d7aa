"""`weir capture`: what comes in, what leaves and what dies, in one file that tshark reads; the counts are those of
`weir show drops`."""

import collections
import os
import signal
import socket
import subprocess
import time

from lab import load, net, site
from scenario import running

MEMBERS = [(1, 1), (2, 1)]
FIELDS = ("frame.interface_name", "frame.packet_flags_direction", "frame.comment", "ip.src", "ip.dst", "tcp.srcport",
          "tcp.dstport", "udp.dstport")
INBOUND, OUTBOUND = 1, 2


class Capture:
    """`with Capture(weir, lab, name, args) as c:` records until the block ends; then `frames` and what it `said`."""

    def __init__(self, weir, lab, name, *args):
        self._weir, self._lab, self.file = weir, lab, lab.path(f"{name}.pcapng")
        self._args = args

    def __enter__(self):
        self._process = subprocess.Popen([self._weir.binary, "capture", "--socket", self._weir.socket, "-w", self.file,
                                          *self._args], stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 20
        # The file's begin is there: from here on nothing is missed.
        while not os.path.exists(self.file) or os.path.getsize(self.file) == 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise net.LabError(f"weir capture does not begin: {self._process.stderr.read()}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        time.sleep(0.5)  # what is on its way
        self._process.send_signal(signal.SIGINT)
        self.said = self._process.communicate(timeout=30)[1]
        self.code = self._process.returncode
        self.frames = read(self.file)

    def drops(self):
        return collections.Counter(f["frame.comment"].removeprefix("drop: ") for f in self.frames if f["frame.comment"])


def read(file):
    fields = [part for field in FIELDS for part in ("-e", field)]
    done = subprocess.run(["tshark", "-n", "-r", file, "-T", "fields", "-E", "occurrence=f", *fields], capture_output=True,
                          text=True, timeout=120)
    if done.returncode != 0:
        raise net.LabError(f"tshark cannot read {file}: {done.stderr}")
    frames = [dict(zip(FIELDS, line.split("\t"))) for line in done.stdout.splitlines()]
    for frame in frames:
        frame["frame.packet_flags_direction"] = int(frame["frame.packet_flags_direction"], 0)
    return frames


def odd_frames(namespace, count):
    """Of an ethertype for experiments (IEEE 802), which Weir drops."""
    with namespace.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as client:
        client.bind(("eth0", 0))
        for _ in range(count):
            client.send(bytes.fromhex((site.UPLINK_MAC + site.CLIENT_MAC).replace(":", "")) + b"\x88\xb5" + bytes(46))


def points(report):
    with running(report, MEMBERS) as (lab, weir):
        client = lab.namespace("client")
        time.sleep(4)  # until the VIPs are announced: those frames leave whether anybody captures or not
        before = weir.difference_at_rest()[1]
        with Capture(weir, lab, "all") as capture:
            tally = load.requests(client, site.VIP4, 80, 50)
            load.requests(client, site.VIP4, 81, 7, threads=1)  # no such port: no_vip, refused with RST
            load.dns(client, site.VIP4, 54, 5, threads=1)  # likewise, with ICMP
            odd_frames(client, 3)
        after = weir.difference_at_rest()[1]
        report.check("no request fails under it", tally.failed == 0, why=tally.why())
        report.check("it ends by Ctrl-C with exit code 0", capture.code == 0, why=f"{capture.code}: {capture.said}")
        report.check("it tells what was captured", f"{len(capture.frames)} frames captured" in capture.said and
                     "0 not captured" in capture.said, why=capture.said)

        came = [f for f in capture.frames if f["frame.packet_flags_direction"] == INBOUND and not f["frame.comment"]]
        left = [f for f in capture.frames if f["frame.packet_flags_direction"] == OUTBOUND]
        for what, frames, key in (("received", came, "received"), ("sent", left, "sent")):
            report.check(f"every frame {what} is there", len(frames) == after[key] - before[key],
                         figure=f"{len(frames)}", why=f"{len(frames)}, and {key} rose by {after[key] - before[key]}")
        risen = {reason: n - before["drops"][reason] for reason, n in after["drops"].items() if n > before["drops"][reason]}
        report.check("every drop is there with its reason", dict(capture.drops()) == risen and "no_vip" in risen and
                     risen.get("ethertype") == 3, figure=str(risen), why=f"{dict(capture.drops())}, and drops rose by {risen}")
        refused = [f for f in capture.frames if f["frame.comment"] == "drop: no_vip" and f["tcp.dstport"] == "81"]
        report.check("a dropped frame is as it was received", len(refused) >= 7 and
                     all(f["ip.dst"] == site.VIP4 and f["frame.interface_name"] == "p0" for f in refused), why=str(refused[:2]))
        rewritten = [f for f in left if f["frame.interface_name"] == "p1"]
        report.check("a sent frame is as it was rewritten", rewritten and
                     all(f["ip.dst"].startswith("10.0.0.") and f["tcp.dstport"] == str(site.WEB_PORT) for f in rewritten
                         if f["ip.dst"]), why=str(rewritten[:2]))


def filters(report):
    with running(report, MEMBERS) as (lab, weir):
        client = lab.namespace("client")
        with Capture(weir, lab, "web", "tcp", "port", "80", "and", "host", "198.51.100.2") as capture:
            load.requests(client, site.VIP4, 80, 20)
            load.requests(client, site.VIP6, 80, 20)
            load.dns(client, site.VIP4, 53, 20)
            load.requests(client, site.VIP4, 81, 3, threads=1)
        of_it = [f for f in capture.frames if "80" in (f["tcp.srcport"], f["tcp.dstport"]) and
                 "198.51.100.2" in (f["ip.src"], f["ip.dst"])]
        report.check("a filter keeps what matches and no other", len(of_it) == len(capture.frames) >= 200,
                     figure=f"{len(of_it)} frames", why=f"{len(of_it)} of {len(capture.frames)}")
        with Capture(weir, lab, "drops", "--drops=no_vip") as capture:
            load.requests(client, site.VIP4, 80, 5)
            load.requests(client, site.VIP4, 81, 3, threads=1)
        report.check("--drops=REASON keeps those only", dict(capture.drops()) == {"no_vip": len(capture.frames)} and
                     len(capture.frames) >= 3, why=str(capture.drops()))
        piped = subprocess.run(f"{weir.binary} capture --socket {weir.socket} --interface servers --seconds 2 -w - | "
                               "tshark -n -r - 2>/dev/null", shell=True, capture_output=True, text=True, timeout=60)
        report.check("it can be read as it runs", "frames captured" in piped.stderr, why=piped.stderr)
        with Capture(weir, lab, "first"):
            second = weir.cli("capture", "-w", lab.path("second.pcapng"))
            report.check("a second one is refused with the first's process", second.returncode == 1 and
                         "asked for by process" in second.stderr, why=second.stderr)


SCENARIOS = [points, filters]
