"""A daemon's life: ready, reloaded by signal, stopped, killed, started again under traffic."""

import os
import signal
import socket
import threading
import time

from lab import daemon, load, site
from scenario import running

MEMBERS = [(1, 1), (2, 2), (3, 3)]
FLOWS = 5_000
FIRST_PORT = 20_000


def notify_and_signals(report):
    """systemd's Type=notify: READY=1 when it forwards; SIGHUP reloads; SIGTERM stops cleanly within 2 s."""
    with site.Site(1) as lab, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(lab.path("notify.sock"))
        notify.settimeout(10)
        yaml = lab.config(site.services(lab.members([(1, 1)])))
        weir = daemon.Weir(lab, report.binary, yaml, environment={"NOTIFY_SOCKET": lab.path("notify.sock")})
        with weir:
            said = _heard(notify, "READY=1")
            report.check("sd_notify says READY=1", "READY=1" in said, why=repr(said))
            generation = weir.show("services")["generation"]
            lab.write("weir.yaml", yaml.replace("weight: 1", "weight: 7"))
            os.kill(weir.pid, signal.SIGHUP)
            now, deadline = generation, time.monotonic() + 5
            while now == generation and time.monotonic() < deadline:
                time.sleep(0.05)
                now = weir.show("services")["generation"]
            weights = {backend["weight"] for backend in weir.show("backends")["backends"]}
            report.check("SIGHUP reloads", now == generation + 1 and weights == {7}, why=f"generation {now}, weights {weights}")
            code, seconds = weir.stop()
        report.check("SIGTERM: exit status 0", code == 0, why=f"exit status {code}\n{lab.log('weir')}")
        report.check("SIGTERM: stopped within 2 s", seconds < 2, figure=f"{seconds:.2f} s", why=f"{seconds:.1f} s")
        report.check("the socket is gone", not os.path.exists(weir.socket))
        said = _heard(notify, "STOPPING=1")
        report.check("sd_notify says STOPPING=1", "STOPPING=1" in said, why=repr(said))


def _heard(notify, wanted):
    """What arrives on the notify socket up to the message wanted, or until nothing comes for a second."""
    said = ""
    try:
        while wanted not in said:
            said += notify.recv(4096).decode() + "\n"
            notify.settimeout(1)
    except TimeoutError:
        pass
    return said


def restart_under_connections(report):
    """Weir starts again; the connections that ran through it go on: the new one adopts them by the same hash."""
    with running(report, MEMBERS) as (lab, weir):
        client = lab.namespace("client")
        os.mkdir(lab.path("files"))
        sent = load.random_file(lab.path("files/bulk"), 32 << 20)
        received = []
        for how, end in (("SIGTERM", lambda: weir.stop()), ("SIGKILL", lambda: _kill(weir))):
            with load.KeepAlive(client, site.VIP4, 80, 20) as held4, load.KeepAlive(client, site.VIP6, 80, 20) as held6:
                bulk = threading.Thread(daemon=True, target=lambda: received.append(
                    load.download(client, site.VIP4, 80, "/files/bulk", bytes_a_second=8 << 20)))
                bulk.start()
                time.sleep(1)
                began = time.monotonic()
                end()
                weir.start()
                gap = time.monotonic() - began
                bulk.join()
                before = held4.answered, held6.answered
                time.sleep(1)
                after = held4.answered, held6.answered
            report.check(f"{how}: keep-alive connections go on, each on its backend",
                         not held4.failures + held6.failures and held4.moved + held6.moved == 0 and
                         all(now > then for now, then in zip(after, before)), figure=f"{gap:.2f} s without Weir",
                         why=f"lost {held4.failures + held6.failures}, moved {held4.moved + held6.moved}, {before} to {after}")
            report.check(f"{how}: a download goes on and is byte-equal", received and received.pop()[0] == sent)


def _kill(weir):
    """As a crash would: nothing is tidied up, neither the socket nor the XDP program on the devices."""
    os.kill(weir.pid, signal.SIGKILL)
    weir.wait()


def same_choice(report):
    """The same file gives every flow the same backend: before and after a restart, and with its lines in another order."""
    with running(report, MEMBERS) as (lab, weir):
        client, members = lab.namespace("client"), lab.members(MEMBERS)

        def chosen():
            tally = load.dns(client, site.VIP4, 53, FLOWS, first_source_port=FIRST_PORT)
            return tally.by_port, tally

        before, tally = chosen()
        report.check("all are answered", not tally.failed, figure=f"{FLOWS} flows", why=tally.why())
        weir.stop()
        weir.start()
        after, tally = chosen()
        report.check("after a restart each flow has its backend", after == before, figure=f"{FLOWS} flows",
                     why=f"{sum(after.get(p) != n for p, n in before.items())} differ; {tally.why()}")
        weir.stop()
        reordered = "".join([site.service("sink", 9000, "tcp", members[::-1], site.SINK_PORT),
                             site.service("dns", 53, "udp", members[::-1], site.DNS_PORT),
                             site.service("web", 80, "tcp", members[::-1], site.WEB_PORT)])
        lab.write("weir.yaml", lab.config(reordered))
        weir.start()
        after, tally = chosen()
        report.check("and with services and backends in another order", after == before, figure=f"{FLOWS} flows",
                     why=f"{sum(after.get(p) != n for p, n in before.items())} differ; {tally.why()}")


SCENARIOS = [notify_and_signals, restart_under_connections, same_choice]
