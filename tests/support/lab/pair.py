"""Two Weirs side by side between a router and the backends.

    client ---- router ---- seg (a bridge) ---- p0 [ w1 ] p1 ---- lan (a bridge) ---- b1, b2, ...
    192.0.2.2   .1  198.51.100.1           .11             10.0.0.2                   10.0.0.11, .12
                                      `---- p0 [ w2 ] p1 ----'
                                           .12             10.0.0.3

Who gets the VIP's packets is the router's business, and who gets the replies the backends': by VRRP (one Weir at a
time; the VIP on the segment, 10.0.0.1 as the backends' gateway) or by equal-cost routes (both at once; 10.0.0.1 is then
`core`, a router on the lan).
"""

from . import net
from .site import MAX_BACKENDS, Site, device, usual_driver

CLIENT = "192.0.2.2"
ROUTER = "198.51.100.1"
GATEWAY = "10.0.0.1"  # the backends'
NAMES = ("w1", "w2")
_NUMBER = {"w1": 1, "w2": 2}
# <include/net/ip_fib.h>, FIB_MULTIPATH_HASH_FIELD_*
_SOURCE, _DESTINATION, _SOURCE_PORT, _DESTINATION_PORT = 0x1, 0x2, 0x10, 0x20


def front(name):
    return f"198.51.100.{10 + _NUMBER[name]}"


def back(name):
    return f"10.0.0.{1 + _NUMBER[name]}"


def mac(name, side):
    """Of a Weir's interface: side 0 is the router's, 1 the backends'."""
    return f"02:00:00:00:1{_NUMBER[name]}:0{side}"


ROUTER_MAC = "02:00:00:00:04:01"


class Pair(Site):
    """Namespaces, servers and files; see Site. A Weir runs in the namespace of its name."""

    def config(self, services, name, twin=False, more=""):
        """weir.yaml of one of the two. They differ in their own addresses and MACs alone."""
        driver = usual_driver()
        lines = "".join(f"  - {{address: {b.address4}, mac: \"{b.mac}\", interface: servers}}\n" for b in self.backends)
        return f"""\
memory: {{huge_pages: never, mbufs: 16384}}
control: {{socket: {self.path(name + ".sock")}, state_dir: {self.path(name + ".state")}}}
hash_key: "00112233445566778899aabbccddeeff"
conntrack: {{capacity: 200000, wide_capacity: 50000}}
ports:
  - {{name: p0, device: "{device(driver, 0)}"}}
  - {{name: p1, device: "{device(driver, 1)}"}}
interfaces:
  - {{name: uplink, port: p0, addresses: [{front(name)}/24], mac: "{mac(name, 0)}", twin: {str(twin).lower()}}}
  - {{name: servers, port: p1, addresses: [{back(name)}/24], mac: "{mac(name, 1)}", twin: {str(twin).lower()}}}
routes: [{{to: 192.0.2.0/24, via: {ROUTER}}}]
neighbors:
  - {{address: {ROUTER}, mac: "{ROUTER_MAC}", interface: uplink}}
{lines}{more}services:
{services}"""

    def share_by_flow(self):
        """Two routers deal flows to both Weirs, each flow's two directions to the same one: `router` what goes to the VIP,
        `core`, from now on the backends' gateway, what comes back.

        Each hashes the client's address and port alone, which are the source on one way and the destination on the
        other; Linux's multipath hash is the same for both. A hash of the whole five-tuple would not be: in front of
        Weir and behind it that is not the same.
        """
        for name, fields in (("router", _SOURCE | _SOURCE_PORT), ("core", _DESTINATION | _DESTINATION_PORT)):
            self.namespace(name).sysctl("net.ipv4.fib_multipath_hash_policy=3",
                                        f"net.ipv4.fib_multipath_hash_fields={fields}")
        self.namespace("core").ip("addr", "add", f"{GATEWAY}/24", "dev", "eth0")

    def lead_replies_to(self, *names):
        """Equal-cost routes to these Weirs, at `core`."""
        hops = [word for name in names for word in ("nexthop", "via", back(name))]
        self.namespace("core").ip("route", "replace", "192.0.2.0/24", *hops)

    def _build(self):
        assert len(self.backends) <= MAX_BACKENDS
        for name in ["client", "router", "seg", "lan", "core", *NAMES] + [backend.name for backend in self.backends]:
            self._namespaces[name] = net.Namespace(self.prefix + name)
        client, router, seg, lan = (self.namespace(name) for name in ("client", "router", "seg", "lan"))
        for bridge in (seg, lan):
            bridge.ip("link", "add", "bridge", "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
            bridge.ip("link", "set", "bridge", "up")

        net.wire(client, "eth0", "02:00:00:00:04:02", router, "eth1", "02:00:00:00:04:03")
        client.ip("addr", "add", f"{CLIENT}/24", "dev", "eth0")
        client.ip("route", "add", "default", "via", "192.0.2.1")
        client.sysctl("net.ipv4.ip_local_port_range=1024 65535")
        router.ip("addr", "add", "192.0.2.1/24", "dev", "eth1")
        router.sysctl("net.ipv4.ip_forward=1")
        _plug(seg, "router", router, "eth0", ROUTER_MAC, 4)
        router.ip("addr", "add", f"{ROUTER}/24", "dev", "eth0")

        core = self.namespace("core")
        _plug(lan, "core", core, "eth0", "02:00:00:00:04:04", 5)
        # Replies leave by the link that they came by; nobody is to be told of a shorter way.
        core.sysctl("net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.eth0.send_redirects=0")

        for name in NAMES:
            weir = self.namespace(name)
            _plug(seg, name, weir, "vw0", mac(name, 0), _NUMBER[name])
            _plug(lan, name, weir, "vw1", mac(name, 1), _NUMBER[name])
            for end in ("vw0", "vw1"):
                net.for_dpdk(weir, end)
        for number, backend in enumerate(self.backends, 10):
            namespace = self.namespace(backend.name)
            _plug(lan, backend.name, namespace, "eth0", backend.mac, number)
            namespace.ip("addr", "add", f"{backend.address4}/24", "dev", "eth0")
            namespace.ip("route", "add", "default", "via", GATEWAY)


def _plug(bridge, port, namespace, device, address, number):
    """A veth from a namespace to a port of the bridge."""
    net.wire(namespace, device, address, bridge, port, f"02:00:00:00:05:{number:02x}")
    bridge.ip("link", "set", port, "master", "bridge")
