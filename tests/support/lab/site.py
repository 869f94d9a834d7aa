"""The one topology that the demo and the scenarios use.

    client ----------- p0 [ Weir ] p1 ----------- lan (a bridge) ----- b1, b2, b3, ...
    198.51.100.2      .1          10.0.0.1                             10.0.0.11, .12, .13
    2001:db8:1::2    ::1          fd00::1                              fd00::11, ::12, ::13

The client reaches the VIPs 203.0.113.10 and 2001:db8:100::10 by a route through Weir's uplink address; the backends
have Weir as their default gateway. Weir's ends of the veth pairs are DPDK ports (net_af_xdp or net_af_packet).
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import child

from . import net

VIP4, VIP6 = "203.0.113.10", "2001:db8:100::10"
WEB_PORT, DNS_PORT, SINK_PORT = 8080, 53, 9000  # what every backend listens on
CLIENT_MAC, UPLINK_MAC, SERVERS_MAC = "02:00:00:00:01:02", "02:00:00:00:00:01", "02:00:00:00:00:02"
MAX_BACKENDS = 9  # one digit in the addresses below


def device(driver, index, queues=1):
    """The DPDK device string of Weir's port `index`, which stands on veth end vw<index>. Several queues are for
    net_af_packet, where the kernel deals flows to them by hash (PACKET_FANOUT)."""
    # busy_budget=0: without it net_af_xdp makes a system call each poll to ask for busy polling, which veth has not.
    options = {"af_xdp": f"net_af_xdp{index},iface=vw{index},busy_budget=0",
               "af_packet": f"net_af_packet{index},iface=vw{index}"}
    return options[driver] + (f",qpairs={queues}" if queues > 1 else "")


def memif(lab, index):
    """The device string of a port whose other end is the relay (lab/wire.py)."""
    return f"net_memif{index},role=server,socket-abstract=no,socket={lab.path(f'memif{index}.sock')}"


def usual_driver():
    """net_af_xdp, and net_af_packet where the kernel was built without AF_XDP."""
    try:
        socket.socket(44, socket.SOCK_RAW).close()  # AF_XDP, <linux/socket.h>
    except OSError:
        return "af_packet"
    return "af_xdp"


class Backend:
    def __init__(self, number):
        self.name = f"b{number}"
        self.address4, self.address6 = f"10.0.0.{10 + number}", f"fd00::{10 + number}"
        self.mac = f"02:00:00:00:02:{number:02x}"


class Site(contextlib.ExitStack):
    """Namespaces, servers and files of one lab; leaving the `with` takes everything down unless `keep` is set.

    With `may_stay` its processes outlive this program if it is kept; without, they cannot.
    """

    def __init__(self, backends, prefix="", may_stay=False):
        super().__init__()
        self.keep = False
        self._may_stay = may_stay
        self.prefix = prefix
        self.processes = []
        self.backends = [Backend(number) for number in range(1, backends + 1)]
        self._namespaces = {}
        self.directory = tempfile.mkdtemp(prefix="weir-lab-")
        os.chmod(self.directory, 0o755)  # nginx's workers and the scenario without permissions are other users
        self.callback(self._remove)
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def namespace(self, name):
        return self._namespaces[name]

    def add_namespace(self, name):
        """One more, with nothing in it."""
        self._namespaces[name] = net.Namespace(self.prefix + name)
        return self._namespaces[name]

    def members(self, weights):
        """(Backend, weight) for pairs of backend number and weight."""
        return [(self.backends[number - 1], weight) for number, weight in weights]

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def spawn(self, namespace, argv, log, **options):
        """Starts a long-running process in a namespace, its output in a file; it does not outlive this program."""
        with open(self.path(log), "ab") as output:
            process = subprocess.Popen(
                self.namespace(namespace).exec_argv(*argv), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, preexec_fn=None if self._may_stay else child.die_with_parent, **options)
        self.processes.append(process)
        return process

    def start_servers(self, keepalive_requests=1_000_000):
        """nginx, a DNS server and an upload sink in every backend; returns when all of them listen."""
        for backend in self.backends:
            self.write(f"{backend.name}.conf", _nginx_conf(self.directory, backend.name, keepalive_requests))
            self.spawn(backend.name, ["nginx", "-c", self.path(f"{backend.name}.conf"), "-e", "stderr"],
                       f"{backend.name}.log")
            self.spawn(backend.name, [sys.executable, "-ES", os.path.join(os.path.dirname(__file__), "responder.py"),
                                      backend.name, str(DNS_PORT), str(SINK_PORT)], f"{backend.name}.log")
        deadline = time.monotonic() + 10
        for backend in self.backends:
            while not self._listens(backend.name):
                if time.monotonic() > deadline:
                    raise net.LabError(f"the servers of {backend.name} did not start:\n{self.log(backend.name)}")
                time.sleep(0.05)

    def log(self, name, lines=40):
        with contextlib.suppress(FileNotFoundError), open(self.path(f"{name}.log"), encoding="utf-8",
                                                          errors="replace") as file:
            return "".join(file.readlines()[-lines:])
        return ""

    def config(self, services, driver=None, workers=1, queues=1, twins=False, neighbors=True, more=""):
        """weir.yaml for this site. `services` is YAML text, the lines under `services:`; `more` further lines. Without
        `neighbors` in the file somebody else has to find them: the kernel behind `twins`.
        """
        driver = driver or usual_driver()
        devices = [memif(self, index) if driver == "memif" else device(driver, index, queues) for index in (0, 1)]
        lines = "".join(f"  - {{address: {b.address4}, mac: \"{b.mac}\", interface: servers}}\n"
                        f"  - {{address: \"{b.address6}\", mac: \"{b.mac}\", interface: servers}}\n" for b in self.backends)
        known = f"""\
neighbors:
  - {{address: 198.51.100.2, mac: "{CLIENT_MAC}", interface: uplink}}
  - {{address: "2001:db8:1::2", mac: "{CLIENT_MAC}", interface: uplink}}
{lines}""" if neighbors else ""
        return f"""\
workers: {workers}
memory: {{huge_pages: never, mbufs: 16384}}
control: {{socket: {self.path("weir.sock")}, state_dir: {self.directory}}}
hash_key: "00112233445566778899aabbccddeeff"
conntrack: {{capacity: 200000, wide_capacity: 50000}}
ports:
  - {{name: p0, device: "{devices[0]}"}}
  - {{name: p1, device: "{devices[1]}"}}
interfaces:
  - name: uplink
    port: p0
    addresses: [198.51.100.1/24, "2001:db8:1::1/64"]
    mac: "{UPLINK_MAC}"
    twin: {str(twins).lower()}
  - name: servers
    port: p1
    addresses: [10.0.0.1/24, "fd00::1/64"]
    mac: "{SERVERS_MAC}"
    twin: {str(twins).lower()}
{known}{more}services:
{services}"""

    def _build(self):
        for name in ["client", "weir", "lan"] + [backend.name for backend in self.backends]:
            self._namespaces[name] = net.Namespace(self.prefix + name)
        client, weir, lan = (self.namespace(name) for name in ("client", "weir", "lan"))

        net.wire(weir, "vw0", UPLINK_MAC, client, "eth0", CLIENT_MAC)
        net.wire(weir, "vw1", SERVERS_MAC, lan, "weir", "02:00:00:00:03:fe")
        for end in ("vw0", "vw1"):
            net.for_dpdk(weir, end)
        _addresses(client, "198.51.100.2/24", "2001:db8:1::2/64")
        client.ip("route", "add", "203.0.113.0/24", "via", "198.51.100.1")
        client.ip("-6", "route", "add", "2001:db8:100::/64", "via", "2001:db8:1::1")
        # Every connection of a run from a port of its own.
        client.sysctl("net.ipv4.ip_local_port_range=1024 65535")

        # Snooping would ask for MLD queriers before it passes on neighbour solicitations.
        lan.ip("link", "add", "bridge", "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
        lan.ip("link", "set", "bridge", "up")
        lan.ip("link", "set", "weir", "master", "bridge")
        for backend in self.backends:
            namespace = self.namespace(backend.name)
            net.wire(namespace, "eth0", backend.mac, lan, backend.name, f"02:00:00:00:03:{backend.mac[-2:]}")
            lan.ip("link", "set", backend.name, "master", "bridge")
            _addresses(namespace, f"{backend.address4}/24", f"{backend.address6}/64")
            namespace.ip("route", "add", "default", "via", "10.0.0.1")
            namespace.ip("-6", "route", "add", "default", "via", "fd00::1")

    def _listens(self, name):
        tcp, udp = (self.namespace(name).run("ss", "-Hln", kind).stdout for kind in ("-t", "-u"))
        return f":{WEB_PORT} " in tcp and f":{SINK_PORT} " in tcp and f":{DNS_PORT} " in udp

    def _remove(self):
        if self.keep:
            return
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + 3
        for process in self.processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for namespace in self._namespaces.values():
            net.run("ip", "netns", "del", namespace.name, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)


def _addresses(namespace, address4, address6):
    namespace.ip("addr", "add", address4, "dev", "eth0")
    namespace.ip("addr", "add", address6, "dev", "eth0", "nodad")


def _nginx_conf(directory, name, keepalive_requests):
    return f"""\
daemon off;
worker_processes 1;
pid {directory}/{name}.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  default_type text/plain;
  keepalive_requests {keepalive_requests};
  client_body_temp_path {directory}/{name}-body;
  proxy_temp_path {directory}/{name}-proxy;
  fastcgi_temp_path {directory}/{name}-fastcgi;
  uwsgi_temp_path {directory}/{name}-uwsgi;
  scgi_temp_path {directory}/{name}-scgi;
  server {{
    listen {WEB_PORT} backlog=4096;
    listen [::]:{WEB_PORT} backlog=4096;
    location / {{ return 200 "{name}\\n"; }}
    location /files/ {{ alias {directory}/files/; }}
  }}
}}
"""


def service(name, port, protocol, members, backend_port, vips=(VIP4, VIP6)):
    """A service's YAML. `members` are (Backend, weight); each stands in it with both its addresses."""
    vip_lines = ", ".join(f"{{address: \"{vip}\", port: {port}}}" for vip in vips)
    lines = "".join(f"      - {{address: \"{address}\", port: {backend_port}, weight: {weight}}}\n"
                    for backend, weight in members for address in (backend.address4, backend.address6)
                    if any((":" in vip) == (":" in address) for vip in vips))
    return (f"  - name: {name}\n    vips: [{vip_lines}]\n    protocol: {protocol}\n    mode: dnat\n"
            f"    scheduler: maglev\n    backends:\n{lines}")


def services(members):
    """The three services of the site: web (HTTP), dns and the upload sink, all by the same members."""
    return (service("web", 80, "tcp", members, WEB_PORT) + service("dns", 53, "udp", members, DNS_PORT) +
            service("sink", 9000, "tcp", members, SINK_PORT))


def worst_deviation(answers, members):
    """How far the worst backend's share of the answers is from its weight's, relative: 0.1 is 10 % off."""
    total, weights = answers.total(), sum(weight for _, weight in members)
    if total == 0 or set(answers) - {backend.name for backend, weight in members if weight > 0}:
        return float("inf")
    return max(abs(answers[backend.name] / total / (weight / weights) - 1) for backend, weight in members if weight > 0)
