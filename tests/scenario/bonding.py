"""A port that is a bond of two software ports: both carry traffic, and nothing is lost or counted twice."""

import time

from lab import daemon, load, net, site

MEMBERS = [(1, 1), (2, 1)]


def both_links_carry(report):
    """Balanced by layer 3 and 4 over two veth ends; the client's side is a bridge, as a pair of switches would be.

    That a failed link is left is not shown here: DPDK's af_packet and af_xdp always say that their link is up.
    """
    with site.Site(2) as lab:
        lab.start_servers()
        client, weir_end = lab.namespace("client"), lab.namespace("weir")
        _second_link(client, weir_end)
        bond = ("net_bonding0,mode=2,xmit_policy=l34,slave=(net_af_packet0,iface=vw0),"
                "slave=(net_af_packet2,iface=vw2)")
        yaml = lab.config(site.services(lab.members(MEMBERS)), "af_packet").replace(site.device("af_packet", 0), bond)
        with daemon.Weir(lab, report.binary, yaml) as weir:
            before = _received(client)
            tally = load.requests(client, site.VIP4, 80, 1000)
            report.check("requests through the bond: none fails", not tally.failed, figure=f"{tally.answers.total()}",
                         why=tally.why())
            rose = [now - then for now, then in zip(_received(client), before)]
            report.check("both links carry answers", min(rose) > 500, figure=f"{rose} packets", why=f"{rose} packets")
            busy = _busy(weir.pid)
            report.check("it sleeps when idle, like the software ports that it is made of", busy < 0.7,
                         figure=f"{busy:.2f} of a core", why=f"{busy:.2f} of a core")
            difference, now = weir.difference_at_rest()
            report.check("conservation is exact at rest", difference == 0, figure=f"received {now['received']}",
                         why=f"difference {difference}")
            code, _ = weir.stop()
        report.check("it stops", code == 0, why=f"exit {code}\n{lab.log('weir')}")
        _names_a_missing_member(report, lab, yaml)


def _received(client):
    return [int(client.run("cat", f"/sys/class/net/{device}/statistics/rx_packets").stdout) for device in ("eth0", "eth1")]


def _second_link(client, weir_end):
    net.wire(weir_end, "vw2", "02:00:00:00:00:03", client, "eth1", "02:00:00:00:01:03")
    net.for_dpdk(weir_end, "vw2")
    client.ip("link", "add", "br0", "address", site.CLIENT_MAC, "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
    client.ip("addr", "flush", "dev", "eth0")
    for device in ("eth0", "eth1"):
        client.ip("link", "set", device, "master", "br0")
    client.ip("link", "set", "br0", "up")
    client.ip("addr", "add", "198.51.100.2/24", "dev", "br0")
    client.ip("route", "replace", "203.0.113.0/24", "via", "198.51.100.1")


def _busy(pid):
    """Share of a core that a process takes, over a second."""
    def ticks():
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    before = ticks()
    time.sleep(1)
    return (ticks() - before) / 100


def _names_a_missing_member(report, lab, yaml):
    try:
        with daemon.Weir(lab, report.binary, yaml.replace("iface=vw2", "iface=vw9")):
            report.check("a member that is not there", False, why="it started")
    except daemon.Refused as end:
        report.check("a member that is not there: exit 4, naming it", end.code == 4 and "vw9" in end.said,
                     figure=end.said.strip().split("\n")[-1][-120:], why=end.said)


SCENARIOS = [both_links_carry]
