"""What operators do while traffic flows: drain and enable a backend, over a reload and a restart; flush flows; diff."""

import json

from lab import load, site
from scenario import running

MEMBERS = [(1, 1), (2, 1), (3, 1)]
CONNECTIONS = 1000
HELD = 30


def drains(report):
    """No new connection goes to a drained backend, those it has go on; reload and restart change nothing of that."""
    with running(report, MEMBERS) as (lab, weir):
        client = lab.namespace("client")
        drained = f"{lab.backends[2].address4}:{site.WEB_PORT}"

        def others_alone(when):
            tally = load.requests(client, site.VIP4, 80, CONNECTIONS)
            report.check(f"{when}: new connections do not go there, and none fails",
                         not tally.failed and not tally.answers["b3"], figure=str(dict(tally.answers)), why=tally.why())

        with load.KeepAlive(client, site.VIP4, 80, HELD) as held:
            done = weir.cli("drain", drained)
            report.check("weir drain is done", done.returncode == 0 and "is drained" in done.stdout,
                         why=done.stdout + done.stderr)
            others_alone("drained")
            weir.reload(weir.yaml() + "# another text\n")
            others_alone("after a reload")
        report.check("connections that it had go on, on it", "b3" in held.names and not held.failures and not held.moved,
                     figure=f"{held.names.count('b3')} of {len(held.names)}", why=f"{held.failures}, {held.moved} moved")
        states = {(b["service"], b["address"]): (b["state"], b["reason"]) for b in weir.show("backends")["backends"]}
        state, reason = states["web", lab.backends[2].address4]
        report.check("show backends says so and why", state == "draining" and reason.startswith("weir drain, since 20"),
                     why=str(states))
        weir.stop()
        weir.start()
        others_alone("after a restart")
        weir.say("enable", drained)
        tally = load.requests(client, site.VIP4, 80, CONNECTIONS)
        report.check("enabled: new connections go there again", not tally.failed and tally.answers["b3"] > CONNECTIONS / 10,
                     figure=f"{tally.answers['b3']} of {CONNECTIONS}", why=tally.why())
        wrong = weir.cli("drain", f"{lab.backends[2].address4}:{site.WEB_PORT + 1}")
        report.check("an unknown backend is refused, and the one that is there named",
                     wrong.returncode == 1 and drained in wrong.stderr, why=f"{wrong.returncode}: {wrong.stderr}")


def flushes(report):
    """Flushed flows of a hash-scheduled service are adopted by their next packets, where they were."""
    with running(report, MEMBERS) as (lab, weir):
        client = lab.namespace("client")
        with load.KeepAlive(client, site.VIP4, 80, HELD) as held4, load.KeepAlive(client, site.VIP6, 80, HELD) as held6:
            flushed = [json.loads(weir.say("flush", "flows", *which, "-o", "json"))["flushed"]
                       for which in (["--vip", f"{site.VIP4}:80"], ["--all"]) for _ in range(5)]
            report.check("each flush says how many", flushed[0] >= HELD and flushed[5] >= HELD, figure=str(flushed),
                         why=str(flushed))
            wrong = weir.cli("flush", "flows")
            report.check("without a filter nothing is flushed", wrong.returncode == 2 and "--all" in wrong.stderr,
                         why=f"{wrong.returncode}: {wrong.stderr}")
        for held, family in ((held4, "IPv4"), (held6, "IPv6")):
            report.check(f"{family} connections go on where they were", not held.failures and not held.moved,
                         figure=f"{held.answered} answers", why=f"{held.failures}, {held.moved} moved")


def differences(report):
    """weir diff tells what a reload then does, and changes nothing itself."""
    with running(report, MEMBERS) as (lab, weir):
        next_file = lab.write("next.yaml", lab.config(site.services(lab.members([(1, 1), (2, 2)]))))
        before = weir.show("services")["generation"]
        told = json.loads(weir.say("diff", "-c", next_file, "-o", "json"))
        names = {(c["change"], c["what"], c["name"]) for c in told["changes"]}
        gone, heavier = (f"{lab.backends[n].address4}:{site.WEB_PORT}" for n in (2, 1))
        report.check("it names the backend that goes and the one that gets heavier",
                     ("removed", "backend", gone) in names and ("changed", "backend", heavier) in names, why=str(names))
        report.check("nothing is changed by it", weir.show("services")["generation"] == before)
        with open(next_file, encoding="utf-8") as file:
            weir.reload(file.read())
        report.check("after the reload there is no difference", "no changes" in weir.say("diff", "-c", next_file))


SCENARIOS = [drains, flushes, differences]
