"""keepalived in a Weir's namespace, on its twins."""

from . import pair
from .site import VIP4

_PRIORITY = {"w1": 100, "w2": 90}


def pair_conf(name):
    """VIP and the backends' gateway together, by VRRP on both twins. As examples/keepalived.conf."""
    return f"""\
global_defs {{
  router_id {name}
  vrrp_version 3
  dynamic_interfaces
}}
vrrp_sync_group weir {{
  group {{
    front
    back
  }}
}}
vrrp_instance front {{
  interface uplink
  state BACKUP
  nopreempt
  virtual_router_id 51
  priority {_PRIORITY[name]}
  advert_int 0.3
  virtual_ipaddress {{
    {VIP4}/32 dev uplink
  }}
}}
vrrp_instance back {{
  interface servers
  state BACKUP
  nopreempt
  virtual_router_id 52
  priority {_PRIORITY[name]}
  advert_int 0.3
  virtual_ipaddress {{
    {pair.GATEWAY}/24 dev servers
  }}
}}
"""


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
