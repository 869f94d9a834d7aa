#!/usr/bin/env python3
"""What 10,000 services x 10 backends cost: start, reload of one change, scrape, show; time, memory, and how long the
worker's loops took meanwhile (docs/performance.md).

    bench/scale.py [--weir build/control/weir] [--services 10000] [--backends 10] [--runs 5] [-o json]
    bench/scale.py --yaml FILE          only writes the configuration

No privileges needed: packets come from a pcap file that is read round and round, to all VIPs, and leave into net_null.
"""
import argparse
import http.client
import json
import os
import pathlib
import platform
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

OVER_NS = 131072  # the histogram's step above 100 us


def ipv4(base, n):
    return socket.inet_ntoa(struct.pack("!I", struct.unpack("!I", socket.inet_aton(base))[0] + n))


def vip(service):
    return ipv4("100.64.0.0", service)


def configuration(services, backends, directory, changed=0):
    """`changed` is the weight of the last service's last backend, 1 by default."""
    lines = [
        'hash_key: "00112233445566778899aabbccddeeff"',
        "memory: {huge_pages: never, mbufs: 16384}",
        f"control: {{socket: {directory}/weir.sock, state_dir: {directory}}}",
        "conntrack: {capacity: 1000000, wide_capacity: 10000}",
        f'ports: [{{name: p0, device: "net_pcap0,rx_pcap={directory}/in.pcap,tx_pcap=/dev/null,infinite_rx=1"}},'
        ' {name: p1, device: "net_null1,no-rx=1"}]',
        "interfaces:",
        '- {name: up, port: p0, mac: "02:00:00:00:00:01", addresses: [198.51.100.1/24]}',
        '- {name: down, port: p1, mac: "02:00:00:00:00:02", addresses: [10.0.0.1/24]}',
        "routes:",
        "- {to: 0.0.0.0/0, via: 198.51.100.254}",
        "- {to: 10.16.0.0/12, via: 10.0.0.254}",
        "neighbors:",
        '- {address: 198.51.100.254, mac: "02:00:00:00:00:fe"}',
        '- {address: 10.0.0.254, mac: "02:00:00:00:00:fd"}',
        "services:",
    ]
    for s in range(services):
        lines.append(f"- name: service-{s:05}")
        lines.append(f"  vips: [{{address: {vip(s)}, port: 80}}]")
        lines.append("  protocol: udp")
        lines.append("  backends:")
        for b in range(backends):
            last = s == services - 1 and b == backends - 1
            weight = f", weight: {changed}" if last and changed else ""
            lines.append(f"  - {{address: {ipv4('10.16.0.0', s * backends + b + 1)}, port: 8080{weight}}}")
    return "\n".join(lines) + "\n"


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def write_packets(path, services):
    """A UDP packet to every VIP, each from a client of its own."""
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for s in range(services):
            udp = struct.pack("!HHHH", 1024 + s % 60000, 80, 8 + 18, 0) + bytes(18)
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0,
                             socket.inet_aton(ipv4("192.0.2.0", s % 250)), socket.inet_aton(vip(s)))
            ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
            frame = bytes.fromhex("020000000001" "0200000000fe" "0800") + ip + udp
            out.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("weir", timeout=120)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Weir:
    def __init__(self, program, directory, text):
        self.program, self.directory = program, directory
        self.socket, self.file = f"{directory}/weir.sock", f"{directory}/weir.yaml"
        pathlib.Path(self.file).write_text(text)
        begin = time.monotonic()
        self.log = open(f"{directory}/log", "ab")
        self.process = subprocess.Popen([program, "run", "-c", self.file], stderr=self.log)
        while True:
            try:
                self.ask("GET", "/v1/status")
                break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit("weir ended: " + pathlib.Path(f"{directory}/log").read_text()[-2000:])
                time.sleep(0.002)
        self.start_s = time.monotonic() - begin

    def ask(self, method, target):
        connection = Connection(self.socket)
        connection.request(method, target)
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
        if reply.status != 200:
            raise RuntimeError(f"{method} {target}: {reply.status} {body[:500]!r}")
        return body

    def timed(self, method, target):
        begin = time.monotonic()
        body = self.ask(method, target)
        return time.monotonic() - begin, len(body)

    def command(self, *arguments):
        begin = time.monotonic()
        out = subprocess.run([self.program, *arguments, "--socket", self.socket], stdout=subprocess.PIPE, check=True)
        return time.monotonic() - begin, len(out.stdout)

    def memory_mib(self):
        fields = dict(line.split(":", 1) for line in open(f"/proc/{self.process.pid}/status") if ":" in line)
        return {"rss": int(fields["VmRSS"].split()[0]) / 1024, "peak": int(fields["VmHWM"].split()[0]) / 1024}

    def reset_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as f:
            f.write("5")

    def loops(self):
        """Loops of 131 us and more, by cause, over the workers; and all of Weir's own."""
        over, own = {"own": 0, "preempted": 0, "unknown": 0}, {}
        for worker in json.loads(self.ask("GET", "/v1/workers"))["workers"]:
            for bucket in worker.get("loops", []):
                own[bucket["under_ns"]] = own.get(bucket["under_ns"], 0) + bucket["own"]
                for cause in over:
                    if bucket["under_ns"] > OVER_NS:
                        over[cause] += bucket[cause]
        return over, own

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


class Pulse(threading.Thread):
    """How long the control thread leaves a small question unanswered."""

    def __init__(self, weir):
        super().__init__(daemon=True)
        self.weir, self.longest_s, self.over = weir, 0.0, False
        self.start()

    def run(self):
        while not self.over:
            self.longest_s = max(self.longest_s, self.weir.timed("GET", "/v1/status")[0])
            time.sleep(0.002)

    def stop(self):
        self.over = True
        self.join()
        return self.longest_s


def own_difference(before, after):
    return {under: n - before.get(under, 0) for under, n in sorted(after.items()) if n > before.get(under, 0)}


def measure(weir, name, action, runs, rows):
    times, sizes = [], []
    weir.reset_peak()
    rss = weir.memory_mib()["rss"]
    over, own = weir.loops()
    pulse = Pulse(weir)
    for run in range(runs):
        seconds, size = action(run)
        times.append(seconds)
        sizes.append(size)
    longest_s = pulse.stop()
    over_after, own_after = weir.loops()
    difference = own_difference(own, own_after)
    rows.append({
        "what": name, "runs": runs, "median_s": statistics.median(times), "worst_s": max(times),
        "bytes": int(statistics.median(sizes)), "rss_mib": rss, "peak_mib": weir.memory_mib()["peak"],
        "control_longest_s": longest_s,
        "loops_over_131us": {cause: over_after[cause] - over[cause] for cause in over},
        "longest_own_loop_under_ns": max(difference, default=0),
    })


def commit():
    got = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True,
                         cwd=pathlib.Path(__file__).parent)
    return got.stdout.strip() or "unknown"


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", default=str(pathlib.Path(__file__).parent.parent / "build/control/weir"))
    parser.add_argument("--services", type=int, default=10000)
    parser.add_argument("--backends", type=int, default=10)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--yaml", metavar="FILE")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weir-scale-") as directory:
        def text(changed=0):
            return configuration(options.services, options.backends, directory, changed)

        if options.yaml:
            pathlib.Path(options.yaml).write_text(text())
            return
        write_packets(f"{directory}/in.pcap", options.services)
        rows = []
        starts = []
        for run in range(options.runs):
            weir = Weir(options.weir, directory, text())
            starts.append(weir.start_s)
            if run + 1 < options.runs:
                weir.stop()
        over, own = weir.loops()
        memory = weir.memory_mib()
        rows.append({"what": "start", "runs": options.runs, "median_s": statistics.median(starts),
                     "worst_s": max(starts), "bytes": len(text()), "rss_mib": memory["rss"],
                     "peak_mib": memory["peak"], "control_longest_s": 0, "loops_over_131us": over,
                     "longest_own_loop_under_ns": max((u for u, n in own.items() if n), default=0)})
        time.sleep(1)

        def quiet(_):
            time.sleep(1)
            return 1.0, 0

        def reload(run):
            pathlib.Path(weir.file).write_text(text(changed=2 + run))
            return weir.timed("POST", "/v1/reload")

        measure(weir, "nothing, for a second", quiet, options.runs, rows)
        measure(weir, "reload, nothing changed", lambda _: weir.timed("POST", "/v1/reload"), options.runs, rows)
        measure(weir, "reload, one weight changed", reload, options.runs, rows)
        measure(weir, "scrape of /metrics", lambda _: weir.timed("GET", "/metrics"), options.runs, rows)
        measure(weir, "weir show services", lambda _: weir.command("show", "services"), options.runs, rows)
        measure(weir, "weir show services -o json", lambda _: weir.command("show", "services", "-o", "json"),
                options.runs, rows)
        weir.stop()

    result = {"machine": processor(), "cores": os.cpu_count(), "load": os.getloadavg()[0], "commit": commit(),
              "services": options.services, "backends": options.backends, "rows": rows}
    if options.output == "json":
        print(json.dumps(result, indent=1))
        return
    print(f"{result['machine']}, {result['cores']} cores, load {result['load']:.1f}, {result['commit']}; "
          f"{options.services} services x {options.backends} backends, {options.runs} runs each")
    print(f"{'':28} {'median':>8} {'worst':>8} {'MB':>7} {'RSS MiB':>8} {'peak':>7} {'control':>9}  "
          "loops over 131 us: own/preempted; longest own under")
    for r in rows:
        over = r["loops_over_131us"]
        print(f"{r['what']:28} {r['median_s']:7.3f}s {r['worst_s']:7.3f}s {r['bytes'] / 1e6:7.2f} {r['rss_mib']:8.0f} "
              f"{r['peak_mib']:7.0f} {r['control_longest_s'] * 1e3:7.1f}ms  {over['own']}/{over['preempted']}; "
              f"{r['longest_own_loop_under_ns'] / 1e3:.0f} us")


if __name__ == "__main__":
    main()
