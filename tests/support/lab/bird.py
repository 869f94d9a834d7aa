"""BIRD 2 in a namespace."""

import time

from . import net

# What every bird.conf here begins with: routes learnt by BGP go to the kernel.
BASE = """\
log stderr all;
router id {router_id};
protocol device {{ scan time 2; }}
protocol kernel {{ ipv4 {{ import none; export where source = RTS_BGP; }}; scan time 5; }}
"""


def bgp(name, neighbor, own_as, its_as, exports="none"):
    """A BGP session's protocol. Short timers: a lab does not wait for what an operator would not notice."""
    return f"""\
protocol bgp {name} {{
  local as {own_as};
  neighbor {neighbor} as {its_as};
  connect retry time 1; connect delay time 1; error wait time 1, 2;
  hold time 9; keepalive time 3;
  ipv4 {{ import all; export {exports}; next hop self; }};
}}
"""


class Bird:
    """`with Bird(site, namespace, conf) as bird:` runs it until the block ends. `conf` is bird.conf."""

    def __init__(self, site, namespace, conf):
        self._site, self._namespace = site, namespace
        self._control = site.path(f"bird-{namespace}.ctl")
        self._file = site.write(f"bird-{namespace}.conf", conf)
        self._process = None

    def __enter__(self):
        self._process = self._site.spawn(self._namespace, ["bird", "-f", "-c", self._file, "-s", self._control],
                                         f"bird-{self._namespace}.log")
        deadline = time.monotonic() + 10
        while self.ask("show", "status", check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise net.LabError(f"bird does not run:\n{self._site.log(f'bird-{self._namespace}')}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()

    def ask(self, *words, check=True):
        return net.run("birdc", "-s", self._control, *words, check=check)

    def wait_up(self, session, wait_s=30):
        """Seconds until the session is established; None if it never is."""
        began = time.monotonic()
        while "Established" not in self.ask("show", "protocols", session).stdout:
            if time.monotonic() - began > wait_s:
                return None
            time.sleep(0.1)
        return time.monotonic() - began

    def log(self):
        return self._site.log(f"bird-{self._namespace}")
