"""keepalived in a Weir's namespace, on its twins."""

import os

from . import pair
from .site import VIP4

_EXAMPLE = os.path.join(os.path.dirname(__file__), "../../../examples/keepalived.conf")
_PRIORITY = {"w1": 100, "w2": 90}


def pair_conf(name):
    """VIP and the backends' gateway together, by VRRP on both twins: the example, with this lab's VIP."""
    with open(_EXAMPLE, encoding="utf-8") as file:
        conf = file.read()
    for example, here in (("198.51.100.100/32", f"{VIP4}/32"), ("10.0.0.1/24", f"{pair.GATEWAY}/24"),
                          ("router_id w1", f"router_id {name}"), ("priority 100", f"priority {_PRIORITY[name]}")):
        assert example in conf, example
        conf = conf.replace(example, here)
    return conf


class Keepalived:
    """`with Keepalived(site, namespace, conf):` runs it until the block ends, unless it is stopped before."""

    def __init__(self, site, namespace, conf):
        self._site, self._namespace = site, namespace
        self._file = site.write(f"keepalived-{namespace}.conf", conf)
        self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        if self._process is not None and self._process.poll() is None:
            return
        pids = [self._site.path(f"keepalived-{self._namespace}.{kind}.pid") for kind in ("main", "vrrp")]
        self._process = self._site.spawn(
            self._namespace, ["keepalived", "-nlDP", "-f", self._file, "-p", pids[0], "-r", pids[1]],
            f"keepalived-{self._namespace}.log")

    def stop(self):
        """SIGTERM: it says goodbye to the others (priority 0) and takes its addresses off."""
        self._process.terminate()
        self._process.wait()

    def log(self):
        return self._site.log(f"keepalived-{self._namespace}")
