"""`weir trace -c FILE` answers at once, without a daemon, and says what then happens."""

import json
import re
import statistics
import subprocess
import time

from lab import load, site
from scenario import running

MEMBERS = [(1, 1), (2, 2), (3, 3)]
FLOWS = 40
FIRST_PORT = 20_000


def against_traffic(report):
    with running(report, MEMBERS) as (lab, weir):
        client = lab.namespace("client")
        names = {b.address4: b.name for b in lab.backends} | {b.address6: b.name for b in lab.backends}
        for family, source, vip in (("IPv4", "198.51.100.2", site.VIP4), ("IPv6", "[2001:db8:1::2]", f"[{site.VIP6}]")):
            took, foretold = [], {}
            for port in range(FIRST_PORT, FIRST_PORT + FLOWS):
                began = time.monotonic()
                done = subprocess.run([report.binary, "trace", "-c", weir.file, "-o", "json", "tcp", f"{source}:{port}",
                                       f"{vip}:80"], capture_output=True, text=True)
                took.append(time.monotonic() - began)
                if done.returncode != 0:
                    report.check(f"{family}: trace -c exits 0", False, why=done.stderr.strip())
                    return
                said = json.loads(done.stdout)
                foretold[port] = names.get(said["backend"]["address"]) if said["verdict"] == "forward" else said["verdict"]
            milliseconds = statistics.median(took) * 1e3
            # 50 ms is the aim (the figure shows it); ten times that is a fault and not a busy machine.
            report.check(f"{family}: trace -c is quick", milliseconds < 500,
                         figure=f"median {milliseconds:.1f} ms, aim under 50 ms", why=f"median {milliseconds:.0f} ms")
            live = json.loads(weir.say("trace", "-o", "json", "tcp", f"{source}:{FIRST_PORT}", f"{vip}:80"))
            report.check(f"{family}: the daemon says the same as the file", names.get(live["backend"]["address"]) ==
                         foretold[FIRST_PORT], why=str(live))
            share = sum(candidate["share"] for candidate in live["candidates"])
            report.check(f"{family}: the candidates' shares add up to 1", abs(share - 1) < 1e-6, why=str(live["candidates"]))
            answered = load.requests(client, vip.strip("[]"), 80, FLOWS, first_source_port=FIRST_PORT).by_port
            report.check(f"{family}: the foretold backend answers", answered == foretold, figure=f"{FLOWS} flows",
                         why=f"{sum(answered.get(p) != n for p, n in foretold.items())} of {FLOWS} differ")


def verdicts(report):
    with running(report, MEMBERS) as (lab, weir):
        for what, arguments, verdict, reason in (
                ("a port the VIP has not", ["tcp", "198.51.100.2:4000", f"{site.VIP4}:81"], "refuse", ""),
                ("an address that is no VIP", ["tcp", "198.51.100.2:4000", "203.0.113.99:80"], "drop", "no_vip"),
                ("a segment of no flow, in the middle", ["--mid-stream", "tcp", "198.51.100.2:4000", f"{site.VIP4}:80"],
                 "forward", "")):
            for where, said in (("file", subprocess.run([report.binary, "trace", "-c", weir.file, "-o", "json", *arguments],
                                                        capture_output=True, text=True).stdout),
                                ("daemon", weir.say("trace", "-o", "json", *arguments))):
                found = json.loads(said)
                report.check(f"{what}, by {where}: {verdict}", found["verdict"] == verdict and
                             (not reason or found["reason"] == reason), why=re.sub(r"\s+", " ", said))


SCENARIOS = [against_traffic, verdicts]
