"""Real requests through DNAT VIPs: none fails, each backend gets its share, bulk data arrives as it was sent."""

import os

from lab import load, site
from scenario import Skipped, running

BULK_BYTES = (1 << 30) if os.environ.get("WEIR_BULK") == "1G" else (64 << 20)
MEMBERS = [(1, 1), (2, 2), (3, 3)]


def af_xdp(report):
    if site.usual_driver() != "af_xdp":
        raise Skipped("this kernel has no AF_XDP")
    with running(report, MEMBERS, driver="af_xdp") as (lab, weir):
        requests(report, lab, 20_000)
        refusals(report, lab)
        echoes(report, lab)
        bulk(report, lab)


def af_packet(report):
    with running(report, MEMBERS, driver="af_packet") as (lab, weir):
        requests(report, lab, 10_000)
        bulk(report, lab)


def requests(report, lab, count, shares=True):
    client, members = lab.namespace("client"), lab.members(MEMBERS)
    for title, ask, vip, port in (("HTTP requests over IPv4", load.requests, site.VIP4, 80),
                                  ("HTTP requests over IPv6", load.requests, site.VIP6, 80),
                                  ("DNS questions over IPv4", load.dns, site.VIP4, 53),
                                  ("DNS questions over IPv6", load.dns, site.VIP6, 53)):
        tally = ask(client, vip, port, count)
        report.check(f"{title}: none fails", tally.failed == 0 and tally.answers.total() == count,
                     figure=f"{count}", why=f"{tally.failed} of {count}: {tally.why()}")
        if not shares:
            continue  # too few for chance to stay within 10 %
        worst = site.worst_deviation(tally.answers, members)
        report.check(f"{title}: shares are within 10 % of the weights", worst < 0.1,
                     figure=f"worst {worst:.1%}", why=f"worst {worst:.1%}: {dict(tally.answers)}")


def refusals(report, lab):
    client = lab.namespace("client")
    for vip in (site.VIP4, site.VIP6):
        tcp = load.requests(client, vip, 81, 3, threads=1)
        report.check(f"a port that {vip} has not is refused with RST", set(tcp.failures) == {load.REFUSED}, why=tcp.why())
        udp = load.dns(client, vip, 54, 3, threads=1)
        report.check(f"a UDP port that {vip} has not is refused with ICMP", set(udp.failures) == {load.REFUSED}, why=udp.why())


def echoes(report, lab):
    client = lab.namespace("client")
    for target in (site.VIP4, site.VIP6, "198.51.100.1", "2001:db8:1::1"):
        answered = load.echoes(client, target, 5)
        report.check(f"echo requests to {target} are answered", answered == 5, why=f"{answered} of 5")


def bulk(report, lab):
    client = lab.namespace("client")
    os.mkdir(lab.path("files"))
    sent = load.random_file(lab.path("files/bulk"), BULK_BYTES)
    mebibytes = f"{BULK_BYTES >> 20} MiB"
    for vip in (site.VIP4, site.VIP6):
        received, length = load.download(client, vip, 80, "/files/bulk")
        report.check(f"{mebibytes} down from {vip} are byte-equal", received == sent, why=f"{length} bytes came")
        stored = load.upload(client, vip, 9000, lab.path("files/bulk"))
        report.check(f"{mebibytes} up to {vip} are byte-equal", stored == sent, why=f"the sink has {stored or 'nothing'}")


SCENARIOS = [af_xdp, af_packet]
