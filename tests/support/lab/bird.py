"""BIRD 2 in a namespace."""

import time

from . import net


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
