"""One `weir run` in the lab, its command line and its counters."""

import json
import os
import subprocess
import time

from . import net


class Refused(net.LabError):
    """`weir run` ended instead of forwarding. `code` is its exit status, the text what it said."""

    def __init__(self, code, said):
        super().__init__(f"weir run exited {code}: {said.strip()}")
        self.code = code
        self.said = said


class Weir:
    """`with Weir(site, binary, yaml) as weir:` runs the daemon in its namespace until the block ends."""

    def __init__(self, site, binary, yaml, name="weir", environment=None, before=(), arguments=(), namespace="weir"):
        """`before` stands before the program (setpriv, taskset), `arguments` behind `weir run -c FILE`."""
        self._site = site
        self._binary = self.binary = binary
        self._name = name
        self._namespace = namespace
        self._environment = {**os.environ, **(environment or {})}
        self._before, self._arguments = before, arguments
        self._process = None
        self.socket = site.path(f"{name}.sock")
        self.file = site.write(f"{name}.yaml", yaml)

    def __enter__(self):
        if not self.is_running():
            self.start()
        return self

    def __exit__(self, *_):
        if self.is_running():
            self.stop()

    def argv(self):
        # bpffs: net_af_xdp's libxdp looks for it in the mount namespace that `ip netns exec` makes.
        return ["sh", "-c", 'mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf; exec "$@"',
                "weir", *self._before, self._binary, "run", "-c", self.file, *self._arguments]

    def start(self, wait_s=20):
        """Returns when the socket answers, that is, when the worker forwards; raises Refused if it never will."""
        self._process = self._site.spawn(self._namespace, self.argv(), f"{self._name}.log", env=self._environment)
        deadline = time.monotonic() + wait_s
        while self.cli("show", "workers").returncode != 0:
            if self._process.poll() is not None:
                raise Refused(self._process.returncode, self._site.log(self._name))
            if time.monotonic() > deadline:
                self.stop()
                raise Refused("by time", f"no answer on {self.socket} after {wait_s} s\n{self._site.log(self._name)}")
            time.sleep(0.05)

    def stop(self, wait_s=10):
        """SIGTERM. Returns (exit status, seconds it took)."""
        began = time.monotonic()
        self._process.terminate()
        try:
            code = self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            code = None
        return code, time.monotonic() - began

    def wait(self):
        return self._process.wait()

    def is_running(self):
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self):
        return self._process.pid

    def cli(self, *args):
        return subprocess.run([self._binary, *args, "--socket", self.socket], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30)

    def say(self, *args):
        """What a command prints; raises if it fails."""
        done = self.cli(*args)
        if done.returncode != 0:
            raise net.LabError(f"`weir {' '.join(args)}` exited {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def show(self, noun):
        return json.loads(self.say("show", noun, "-o", "json"))

    def yaml(self):
        with open(self.file, encoding="utf-8") as file:
            return file.read()

    def reload(self, yaml):
        """Writes the file as an editor would, whole, then `weir reload`."""
        with open(f"{self.file}.new", "w", encoding="utf-8") as file:
            file.write(yaml)
        os.replace(f"{self.file}.new", self.file)
        return self.cli("reload")

    def difference_at_rest(self, wait_s=5):
        """(difference, counters) of `weir show drops` once nothing moves any more: two equal readings, 0.2 s apart."""
        deadline = time.monotonic() + wait_s
        last, now = None, self.show("drops")
        while last != now and time.monotonic() < deadline:
            time.sleep(0.2)
            last, now = now, self.show("drops")
        return now["difference"], now
