"""scripts/demo: real HTTP and DNS through Weir between network namespaces, told step by step. See docs/demo.md."""

import argparse
import difflib
import os
import shutil
import sys
import time

import child
from lab import daemon, load, net, site

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
BINARY = os.path.join(ROOT, "build/control/weir")
PREFIX = "weir-demo-"  # of namespaces that --keep leaves; without it they are private and have plain names
KEPT = "/run/weir-demo"  # with --keep: the lab's directory, under a name that stays
REQUESTS = 10_000
WRK_SECONDS = 8


def main():
    arguments = parse_arguments()
    child.stop_on_signals()
    if not arguments.clean and child.run([os.path.join(ROOT, "scripts/build"), "weir"]) != 0:
        return 1
    if os.geteuid() != 0:
        os.execvp("sudo", ["sudo", "--", sys.executable, "-ES", os.path.realpath(__file__), *sys.argv[1:]])
    try:
        return clean() if arguments.clean else show(arguments.keep)
    except net.LabError as error:
        net.fail(f"demo: {error}")
        return 4


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Shows Weir at work on this machine alone.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--keep", action="store_true", help="leave the lab standing, with a hint of what to try")
    what.add_argument("--clean", action="store_true", help="take down what --keep left")
    return parser.parse_args()


def show(keep):
    if keep:
        if net.existing(PREFIX):
            raise net.LabError("a lab is standing already; remove it first: scripts/demo --clean")
    else:
        net.enter_private()
    demo = Demo()
    with site.Site(4, prefix=PREFIX if keep else "", may_stay=keep) as lab:
        with demo.start_weir(lab) as weir:
            demo.run(weir)
            if keep and not demo.broken:
                lab.keep = True
                hint(lab, weir)
                os._exit(0)
            demo.stop(weir)
    net.say("")
    net.say("Everything held; nothing is left behind." if not demo.broken else f"NOT held: {'; '.join(demo.broken)}")
    return 1 if demo.broken else 0


def clean():
    directory = os.path.realpath(KEPT)
    removed = net.remove(PREFIX)
    if os.path.islink(KEPT):
        os.unlink(KEPT)
        shutil.rmtree(directory, ignore_errors=True)
    net.say(f"removed {removed} namespaces and all that ran in them" if removed else "there is no lab standing")
    return 0


class Demo:
    def __init__(self):
        self.broken = []
        self._began = time.monotonic()

    def step(self, text):
        net.say(f"\n[{time.monotonic() - self._began:5.1f} s] {text}")

    def holds(self, what, condition):
        net.say(f"  {'yes' if condition else 'NO '}  {what}")
        if not condition:
            self.broken.append(what)

    def start_weir(self, lab):
        self.step("a client, four nginx servers and Weir, each in a network namespace of its own, joined by veth pairs")
        lab.start_servers()
        self.lab, self.client = lab, lab.namespace("client")
        b1, b2, b3, self.newcomer = lab.backends
        self.members = [(b1, 1), (b2, 1), (b3, 2)]
        refusals = []
        for self.driver in ("af_xdp", "af_packet"):
            weir = daemon.Weir(lab, BINARY, lab.config(site.services(self.members), self.driver))
            try:
                weir.start()
                self.step(f"weir run: two ports on net_{self.driver}, process {weir.pid}")
                return weir
            except daemon.Refused as refused:
                refusals.append(f"net_{self.driver}: {refused}")
                net.say(f"  net_{self.driver} did not start: {refused}")
        raise net.LabError("weir did not start on any kind of port:\n" + "\n".join(refusals))

    def run(self, weir):
        self.spread("HTTP over IPv4", load.requests, site.VIP4, 80)
        self.spread("HTTP over IPv6", load.requests, site.VIP6, 80)
        self.spread("DNS over UDP", load.dns, site.VIP4, 53)
        self.spread("DNS over UDP and IPv6", load.dns, site.VIP6, 53)
        self.add_backend(weir)
        self.spread("HTTP after the reload", load.requests, site.VIP4, 80)
        for noun in ("services", "backends", "drops"):
            self.command(weir, "show", noun)
        said = self.command(weir, "trace", "tcp", "198.51.100.2:40000", f"{site.VIP4}:80")
        self.holds("the trace names a backend", any(b.address4 in said for b, _ in self.members))
        difference, _ = weir.difference_at_rest()
        self.holds("conservation: every packet is sent or dropped by name (difference 0)", difference == 0)

    def spread(self, title, client, vip, port):
        self.step(f"{title}: {REQUESTS:,} to {load.host(vip)}:{port}, a {'socket' if client is load.dns else 'connection'} each")
        began = time.monotonic()
        tally = client(self.client, vip, port, REQUESTS)
        seconds = time.monotonic() - began
        weights = sum(weight for _, weight in self.members)
        net.say(f"  {'backend':<8} {'weight':>6} {'answers':>8} {'share':>8} {'expected':>9}")
        for backend, weight in self.members:
            share = tally.answers[backend.name] / max(1, tally.answers.total())
            net.say(f"  {backend.name:<8} {weight:>6} {tally.answers[backend.name]:>8} {share:>8.1%} {weight / weights:>9.1%}")
        self.holds(f"failed: {tally.failed} ({REQUESTS / seconds:,.0f} a second)"
                   + (f": {tally.why()}" if tally.failed else ""), tally.failed == 0)
        worst = site.worst_deviation(tally.answers, self.members)
        self.holds(f"each backend within 10 % of its weight's share (worst: {worst:.1%})", worst < 0.1)

    def add_backend(self, weir):
        self.step(f"wrk for {WRK_SECONDS} s, and 20 keep-alive connections; meanwhile {self.newcomer.name} joins:")
        with load.KeepAlive(self.client, site.VIP4, 80, 20) as held:
            wrk = load.Wrk(self.lab, site.VIP4, 80, WRK_SECONDS)
            time.sleep(WRK_SECONDS / 2)
            before = weir.yaml()
            self.members.append((self.newcomer, 2))
            after = self.lab.config(site.services(self.members), self.driver)
            for line in list(difflib.unified_diff(before.split("\n"), after.split("\n"), n=0, lineterm=""))[2:]:
                if not line.startswith("@@"):
                    net.say(f"    {line}")
            reloaded = weir.reload(after)
            net.say(f"  $ weir reload\n    {(reloaded.stdout + reloaded.stderr).strip()}")
            counted = wrk.result()
        self.holds("the reload was accepted", reloaded.returncode == 0)
        self.holds(f"wrk: {counted['requests']:,} requests, failed: {counted['failed']}"
                   + (f" ({counted})" if counted["failed"] else ""), counted["failed"] == 0 and counted["requests"] > 0)
        self.holds(f"keep-alive: {held.answered:,} answers, failed: {held.failures.total()}, moved: {held.moved}",
                   held.answered > 0 and not held.failures and held.moved == 0)

    def command(self, weir, *args):
        self.step(f"$ weir {' '.join(args)}")
        said = weir.say(*args).rstrip()
        net.say("\n".join(f"    {line}" for line in said.split("\n")))
        return said

    def stop(self, weir):
        code, seconds = weir.stop()
        self.step(f"SIGTERM: weir stopped in {seconds:.2f} s")
        self.holds("a clean stop, exit status 0", code == 0)
        if self.broken:
            net.say(f"weir's log:\n{self.lab.log('weir')}")


def hint(lab, weir):
    if os.path.islink(KEPT):
        os.unlink(KEPT)
    os.symlink(lab.directory, KEPT)
    client = f"sudo ip netns exec {PREFIX}client"
    command = f"sudo {BINARY}"
    sock = f"--socket {KEPT}/weir.sock"
    net.say(f"""
The lab stands. Try:
  {client} curl http://{site.VIP4}/ http://[{site.VIP6}]/
  {client} wrk -t 1 -c 32 -d 10s http://{site.VIP4}:80/
  {command} show backends {sock}
  {command} show flows {sock}
  {command} trace tcp 198.51.100.2:40000 {site.VIP4}:80 {sock}
Edit {KEPT}/weir.yaml (a weight, a backend), then:
  {command} check -c {KEPT}/weir.yaml
  {command} reload {sock}
Weir's log: {KEPT}/weir.log
Remove it all: scripts/demo --clean""")


if __name__ == "__main__":
    sys.exit(main())
