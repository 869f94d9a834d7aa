"""What every scenario uses: the report it writes its checks to, and a lab with a running Weir."""

import contextlib

from lab import daemon, net, site


class Skipped(Exception):
    """This machine cannot run the scenario; the text says why. A skipped scenario is not a passed one."""


class Report:
    def __init__(self, binary):
        self.binary = binary
        self.failed = 0
        self._scenario = ""

    def begin(self, scenario):
        self._scenario = scenario

    def check(self, what, holds, figure="", why=""):
        """One line and one of the count. `figure` is what was measured; `why` what was found instead."""
        name = f"{self._scenario}: {what}"
        if holds:
            net.say(f"PASS {name}" + (f" ({figure})" if figure else ""))
        else:
            self.failed += 1
            net.say(f"FAIL {name}: {why or figure or 'it is not so'}")

    def skip(self, why):
        net.say(f"SKIP {self._scenario}: {why}")


@contextlib.contextmanager
def running(report, members, backends=4, driver=None, **configured):
    """A lab with servers and Weir; `members` are (backend number, weight); for `configured` see Site.config(). Yields
    (lab, weir).

    At the end everything is let come to rest and conservation must be exact; if any check failed, Weir's log and
    counters follow.
    """
    failed_before = report.failed
    with site.Site(backends) as lab:
        lab.start_servers()
        weir = daemon.Weir(lab, report.binary, lab.config(site.services(lab.members(members)), driver, **configured))
        counters = "(it did not start)"
        try:
            with weir:
                try:
                    yield lab, weir
                    difference, now = weir.difference_at_rest()
                    report.check("conservation is exact at rest", difference == 0, figure=f"received {now['received']}",
                                 why=f"difference {difference}")
                finally:
                    counters = weir.cli("show", "drops").stdout if weir.is_running() else "(it no longer runs)"
        except Exception:
            report.failed += 1  # the runner prints what it was
            raise
        finally:
            if report.failed > failed_before:
                net.say(f"counters:\n{counters}\nweir's log:\n{lab.log('weir')}")
