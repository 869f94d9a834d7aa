"""Several workers: wherever a packet comes in, the worker that owns its flow carries it."""

import time

import traffic
from lab import load, net, site, wire
from scenario import running

MEMBERS = traffic.MEMBERS


def fan_out(report):
    """Two queues, dealt by the kernel's flow hash, which knows nothing of owners."""
    with running(report, MEMBERS, driver="af_packet", workers=2, queues=2) as (lab, weir):
        traffic.requests(report, lab, 10_000)
        traffic.echoes(report, lab)
        _handed_over(report, weir)


def sprayed(report):
    """Two queues, and each frame by a random one of them: half of all frames come to the wrong worker."""
    with (running(report, MEMBERS, driver="memif", workers=2) as (lab, weir),
          wire.Wire(lab, report.binary) as relay):
        traffic.requests(report, lab, 3000, shares=False)
        traffic.echoes(report, lab)
        _handed_over(report, weir)
        with load.KeepAlive(lab.namespace("client"), site.VIP4, 80, 10) as held:
            counted = load.Wrk(lab, site.VIP4, 80, 5).result()
        report.check("wrk: no request fails", counted["failed"] == 0 and counted["requests"] > 0,
                     figure=f"{counted['requests']} requests", why=str(counted))
        report.check("established connections: none is lost or moved",
                     held.answered > 0 and not held.failures and held.moved == 0, figure=f"{held.answered} answers",
                     why=f"{held.failures}, {held.moved} moved")
        steering = [port["steering"] for port in weir.show("ports")["ports"]]
        report.check("`show ports` says that steering is software", all("software" in each for each in steering),
                     figure=steering[0], why=str(steering))
        ways = relay.stop()
        for way, counted in ways.items():
            report.check(f"{way.replace('_', ' ')}: the order of frames is told", counted["in"] > 0 and
                         counted["dropped"] == 0, why=str(counted),
                         figure=f"{counted['late']} late of {counted['out']}, {counted['flows']} flows")


def fewer_queues(report):
    """Three workers, one queue on each port: one worker receives nothing, and most send through another."""
    with running(report, MEMBERS, driver="af_packet", workers=3, queues=1) as (lab, weir):
        traffic.requests(report, lab, 3000, shares=False)
        _handed_over(report, weir)
        events = weir.show("drops")["events"]
        report.check("workers without a transmit queue send through others", events["handed_to_send"] > 0,
                     figure=f"{events['handed_to_send']} frames")


def reload_under_load(report):
    """As reload.fifty_under_wrk, over two workers."""
    configured = {"driver": "af_packet", "workers": 2, "queues": 2}
    with running(report, MEMBERS, **configured) as (lab, weir):
        client = lab.namespace("client")
        with load.KeepAlive(client, site.VIP4, 80, 10) as held4, load.KeepAlive(client, site.VIP6, 80, 10) as held6:
            wrk = load.Wrk(lab, site.VIP4, 80, 12)
            refused, before = 0, weir.show("services")["generation"]
            for turn in range(20):
                members = MEMBERS + ([(4, 2)] if turn % 2 == 0 else [])
                done = weir.reload(lab.config(site.services(lab.members(members)), **configured))
                refused += done.returncode != 0
                time.sleep(0.3)
            counted = wrk.result()
        generation = weir.show("services")["generation"]
        report.check("20 reloads are accepted", refused == 0 and generation == before + 20, figure=f"generation {generation}",
                     why=f"{refused} refused, generation {generation}")
        report.check("wrk: no request fails", counted["failed"] == 0 and counted["requests"] > 0,
                     figure=f"{counted['requests']} requests", why=str(counted))
        for held, family in ((held4, "IPv4"), (held6, "IPv6")):
            report.check(f"established {family} connections: none is lost or moved", held.answered > 0 and not held.failures
                         and held.moved == 0, figure=f"{held.answered} answers", why=f"{held.failures}, {held.moved} moved")
        _handed_over(report, weir)


def _handed_over(report, weir):
    """Every frame handed over is taken over, none is lost on the way; each worker has carried some."""
    weir.difference_at_rest()
    counted = weir.show("drops")
    events = counted["events"]
    report.check("what is handed over is taken over", events["handed_over"] == events["taken_over"] > 0,
                 figure=f"{events['handed_over']} of {counted['received']} packets received", why=str(events))
    report.check("no ring between workers was full", counted["drops"]["handover_full"] == 0,
                 why=f"{counted['drops']['handover_full']} dropped")
    workers = weir.show("workers")["workers"]
    report.check("every worker has flows", all(worker["flows"] > 0 for worker in workers),
                 figure=", ".join(str(worker["flows"]) for worker in workers), why=str(workers))
    _tell(workers)


def _tell(workers):
    """Figures of this machine: none is judged."""
    for worker in workers:
        steps = ", ".join(f"{step} {ns:.0f}" for step, ns in worker["step_ns"].items())
        longest = {cause: f"{ns / 1e6:.1f} ms" for cause, ns in worker["longest_loop_ns"].items() if ns}
        net.say(f"   worker {worker['worker']}: ns a packet: {steps}; longest loops: {longest}")


SCENARIOS = [fan_out, sprayed, fewer_queues, reload_under_load]
