"""packaging/ as systemd's own tools see it: `units_test.py PROGRAM`. Without them the test is skipped (exit 77)."""

import os
import shutil
import subprocess
import sys
import tempfile

PACKAGING = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../packaging"))
# Tenths of systemd's exposure level; 96 is a unit that restricts nothing.
MOST_EXPOSED, MOST_EXPOSED_NEVER_ROOT = 37, 31


def run(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).strip()


def copy(name, to, program):
    with open(os.path.join(PACKAGING, name), encoding="utf-8") as text:
        os.makedirs(os.path.dirname(to), exist_ok=True)
        with open(to, "w", encoding="utf-8") as file:
            file.write(text.read().replace("/usr/bin/weir", program))
    return to


def check_unit(unit, most):
    code, said = run("systemd-analyze", "verify", "--man=no", unit)
    assert code == 0 and not said, f"systemd-analyze verify: {said}"
    code, said = run("systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={most}", unit)
    assert code == 0, said
    print(said.split("\n")[-1])


def main():
    if not shutil.which("systemd-analyze"):
        print("there is no systemd-analyze here")
        return 77
    program = os.path.realpath(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:
        unit = copy("weir.service", f"{directory}/weir.service", program)
        check_unit(unit, MOST_EXPOSED)
        copy("never-root.conf", f"{directory}/weir.service.d/never-root.conf", program)
        check_unit(unit, MOST_EXPOSED_NEVER_ROOT)

        root = f"{directory}/root"
        os.makedirs(f"{root}/etc")
        code, said = run("systemd-sysusers", f"--root={root}", copy("weir.sysusers", f"{root}/weir.conf", program))
        assert code == 0, said
        with open(f"{root}/etc/passwd", encoding="utf-8") as passwd:
            line = next(line for line in passwd if line.startswith("weir:"))
        assert line.rstrip().endswith((":/usr/sbin/nologin", ":/sbin/nologin")), line
    print("good")
    return 0


if __name__ == "__main__":
    sys.exit(main())
