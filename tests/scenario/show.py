"""`weir show` tells what happens: the JSON shapes of docs/api.md, and counters that agree with what clients did."""

from lab import load, site
from scenario import running

MEMBERS = [(1, 1), (2, 2), (3, 3)]
REQUESTS = 600
HELD = 12

# design part 5 and docs/api.md: the least that each entry has.
KEYS = {"services": "name protocol mode scheduler vips backends usable connections current packets_in",
        "backends": "service address port weight state reason connections current packets_in packets_out bytes_in bytes_out",
        "flows": "protocol client vip endpoint source state expires_s worker",
        "ports": "name mac rx_packets tx_packets rx_missed tx_dropped steering",
        "routes": "to via interface origin",
        "neighbors": "address mac interface state origin",
        "workers": "worker core packets packets_per_burst busy flows handed_over taken_over step_ns longest_loop_ns loops"}


def lists(report):
    with running(report, MEMBERS) as (lab, weir):
        client = lab.namespace("client")
        tally = load.requests(client, site.VIP4, 80, REQUESTS)
        with load.KeepAlive(client, site.VIP4, 80, HELD) as held4, load.KeepAlive(client, site.VIP6, 80, HELD) as held6:
            shown = {noun: weir.show(noun) for noun in KEYS}
            for noun, keys in KEYS.items():
                entries = shown[noun].get(noun, [])
                missing = [key for key in keys.split() if not entries or any(key not in entry for entry in entries)]
                report.check(f"{noun} -o json has its keys", isinstance(shown[noun].get("generation"), int) and not missing,
                             figure=f"{len(entries)} entries", why=f"missing {missing or 'generation'}: {str(shown[noun])[:300]}")
                table = weir.say("show", noun).rstrip().split("\n")
                report.check(f"{noun} as a table has a line for each", len(table) >= len(entries) + 1, why="\n".join(table[:5]))

            flows = {(flow["client"], flow["vip"]): flow["endpoint"] for flow in shown["flows"]["flows"]}
            for held, vip in ((held4, f"{site.VIP4}:80"), (held6, f"[{site.VIP6}]:80")):
                expected = {(where, vip): _endpoint(lab, name, where.startswith("["))
                            for where, name in zip(held.sources(), held.names)}
                found = {key: flows.get(key) for key in expected}
                report.check(f"flows names each connection to {vip} with its endpoint", found == expected,
                             why=f"{sum(found[key] != expected[key] for key in expected)} of {HELD} are not so, "
                                 f"as {next(((k, found[k], expected[k]) for k in expected if found[k] != expected[k]), '')}")

        connections = {b.name: sum(entry["connections"] for entry in weir.show("backends")["backends"]
                                   if entry["service"] == "web" and entry["address"] in (b.address4, b.address6))
                       for b in lab.backends[:3]}
        expected = {name: tally.answers[name] + held4.names.count(name) + held6.names.count(name) for name in connections}
        report.check("each backend's connections are what its clients made", connections == expected,
                     figure=str(connections), why=f"{connections}, expected {expected}")
        text = weir.show("config")
        report.check("config is the text that runs", text.get("text") == weir.yaml(), why=str(text)[:200])


def _endpoint(lab, name, six):
    backend = next(b for b in lab.backends if b.name == name)
    return f"[{backend.address6}]:{site.WEB_PORT}" if six else f"{backend.address4}:{site.WEB_PORT}"


SCENARIOS = [lists]
