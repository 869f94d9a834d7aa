"""After its ports are open Weir is its own user with four capabilities at most, in every thread (issue: least privileges)."""

import contextlib
import os
import stat

from lab import daemon, load, net, site

MEMBERS = [(1, 1), (2, 2)]
UID, GID = 63110, 63111
NEEDED = {"NET_ADMIN": 12, "NET_RAW": 13, "IPC_LOCK": 14}  # <linux/capability.h>
BPF = {"BPF": 39}


@contextlib.contextmanager
def _user():
    """User and group `weir` in this private world alone."""
    with contextlib.ExitStack() as stack:
        directory = "/run/netns"  # a tmpfs of ours
        for file, line in (("passwd", f"weir:x:{UID}:{GID}::/nonexistent:/usr/sbin/nologin"), ("group", f"weir:x:{GID}:")):
            with open(f"/etc/{file}", encoding="utf-8") as real:
                lines = [each for each in real.read().split("\n") if each and not each.startswith("weir:")]
            with open(f"{directory}/.{file}", "w", encoding="utf-8") as own:
                own.write("\n".join([*lines, line, ""]))
            net.run("mount", "--bind", own.name, f"/etc/{file}")
            stack.callback(net.run, "umount", f"/etc/{file}")
        yield


def _mask(capabilities):
    return sum(1 << number for number in capabilities.values())


def _threads(pid):
    """{(name, tid): {field: value}} of every thread."""
    out = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="utf-8") as lines:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)
        out[fields["Name"], task] = fields
    return out


def _check_threads(report, weir, what, allowed, bounding):
    threads = _threads(weir.pid)
    wrong = []
    for (name, task), of in threads.items():
        if set(of["Uid"].split()) != {str(UID)} or set(of["Gid"].split()) != {str(GID)} or set(of["Groups"].split()) - {str(GID)}:
            wrong.append(f"{name}: Uid {of['Uid']}, Gid {of['Gid']}, Groups {of['Groups']}")
        for field in ("CapEff", "CapPrm"):
            if int(of[field], 16) & ~_mask(allowed):
                wrong.append(f"{name}: {field} {of[field]}")
        if int(of["CapInh"], 16) or int(of["CapAmb"], 16) or int(of["CapBnd"], 16) & ~bounding or of["NoNewPrivs"] != "1":
            wrong.append(f"{name}: {[of[f] for f in ('CapInh', 'CapAmb', 'CapBnd', 'NoNewPrivs')]}")
    control = threads[next(key for key in threads if key[1] == str(weir.pid))]
    report.check(f"{what}: every thread is the user's, with those capabilities at most", not wrong,
                 figure=f"{len(threads)} threads, {control['CapEff']}", why="; ".join(wrong))
    report.check(f"{what}: the control thread has all of them", int(control["CapEff"], 16) == _mask(allowed),
                 why=control["CapEff"])


def _listens(lab):
    return lab.namespace("weir").run("ss", "-Hltn").stdout.strip()


def _left_behind(lab, pid):
    """XDP programs still on Weir's devices, and DPDK's directory."""
    return ([f"/run/dpdk/weir-{pid}"] if os.path.exists(f"/run/dpdk/weir-{pid}") else []) + [
        line for line in lab.namespace("weir").run("ip", "link").stdout.split("\n") if "xdp" in line and "vw" in line]


def dropped(report):
    """`--user` from a start as root, under traffic, on both kinds of software port."""
    drivers = sorted({site.usual_driver(), "af_packet"})
    with _user():
        for driver in drivers:
            _dropped(report, driver)


def _dropped(report, driver):
    with site.Site(2) as lab:
        lab.start_servers()
        os.chown(lab.directory, UID, GID)
        client, members = lab.namespace("client"), lab.members(MEMBERS)
        yaml = lab.config(site.services(members), driver)
        allowed = {**NEEDED, **(BPF if driver == "af_xdp" else {})}
        weir = daemon.Weir(lab, report.binary, yaml, arguments=("--user", "weir"))
        for start in ("first", "second"):
            with weir:
                single = load.Requests(client, site.VIP4, 80)
                tally = load.requests(client, site.VIP6, 80, 300)
                _check_threads(report, weir, f"{driver}, {start} start", allowed, bounding=0)
                tally += single.stop()
                report.check(f"{driver}, {start} start: no request fails", not tally.failed and tally.answers.total() > 300,
                             figure=f"{tally.answers.total()} requests", why=tally.why())
                if start == "first":
                    _check_socket(report, lab, weir, driver)
                    _check_reload(report, lab, weir, driver, members)
                code, _ = weir.stop()
            report.check(f"{driver}, {start} stop: exit 0, no XDP program, socket or directory left", code == 0 and
                         not _left_behind(lab, weir.pid) and not os.path.exists(weir.socket),
                         why=f"exit {code}, {_left_behind(lab, weir.pid)}\n{lab.log('weir')}")


def _check_socket(report, lab, weir, driver):
    found = os.stat(weir.socket)
    report.check(f"{driver}: the socket is the user's and group's, mode 0660",
                 (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (UID, GID, 0o660),
                 why=f"{found.st_uid}:{found.st_gid} {oct(found.st_mode)}")
    ask = lambda uid, gid: net.run("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", report.binary, "show",
                                   "drops", "--socket", weir.socket, check=False)
    member, other = ask(65534, GID), ask(65534, 65534)
    report.check(f"{driver}: a member of the group may ask, another may not", member.returncode == 0 and
                 other.returncode == 3, why=f"{member.returncode} {member.stderr}; {other.returncode} {other.stderr}")
    report.check(f"{driver}: no TCP port listens", _listens(lab) == "", why=_listens(lab))


def _check_reload(report, lab, weir, driver, members):
    os.chmod(weir.file, 0o600)
    done = weir.cli("reload")
    report.check(f"{driver}: a file that the user cannot read is refused in words", done.returncode == 1 and
                 "Permission denied" in done.stderr and "weir" in done.stderr, figure=done.stderr.strip(),
                 why=f"exit {done.returncode}: {done.stdout}{done.stderr}")
    done = weir.reload(lab.config(site.services(members[:1]), driver))
    report.check(f"{driver}: a reload works", done.returncode == 0, why=done.stdout + done.stderr)
    tally = load.requests(lab.namespace("client"), site.VIP4, 80, 100)
    report.check(f"{driver}: and requests go where it says", not tally.failed and set(tally.answers) == {"b1"},
                 why=f"{tally.why()} {dict(tally.answers)}")


def ambient(report):
    """As systemd's User= with AmbientCapabilities= starts it: never root at all."""
    granted = {**NEEDED, **BPF}
    with _user(), site.Site(2) as lab:
        lab.start_servers()
        os.chown(lab.directory, UID, GID)
        binary = lab.path("weir-program")
        net.run("cp", report.binary, binary)  # the build may lie where the user may not look
        names = ",".join(f"+{name.lower()}" for name in granted)
        before = ("setpriv", f"--reuid={UID}", f"--regid={GID}", "--clear-groups", f"--inh-caps=-all,{names}",
                  f"--ambient-caps={names}", f"--bounding-set=-all,{names}", "--no-new-privs")
        services = site.services(lab.members(MEMBERS))
        weir = daemon.Weir(lab, binary, lab.config(services, "af_packet"), before=before)
        with weir:
            _check_threads(report, weir, "af_packet", NEEDED, bounding=_mask(granted))
            tally = load.requests(lab.namespace("client"), site.VIP4, 80, 300)
            report.check("no request fails", not tally.failed, figure=f"{tally.answers.total()}", why=tally.why())
            code, _ = weir.stop()
        report.check("it stops", code == 0, why=f"exit {code}\n{lab.log('weir')}")
        if site.usual_driver() == "af_xdp":
            _refuses_xdp(report, daemon.Weir(lab, binary, lab.config(services, "af_xdp"), before=before))


def _refuses_xdp(report, weir):
    """libxdp finds its program by its id, and the kernel allows that to CAP_SYS_ADMIN alone."""
    try:
        with weir:
            report.check("net_af_xdp does not open without CAP_SYS_ADMIN", False, why="it does; the docs say otherwise")
    except daemon.Refused as end:
        sentence = next((line for line in end.said.split("\n") if "CAP_SYS_ADMIN" in line), "")
        report.check("net_af_xdp: exit 4, naming CAP_SYS_ADMIN and --user", end.code == 4 and "--user" in sentence,
                     figure=sentence[-150:], why=f"exit {end.code}: {end.said}")


def unit(report):
    """packaging/weir.service's bounding set is enough for a start on AF_XDP and for becoming its user."""
    with open(os.path.join(os.path.dirname(__file__), "../../packaging/weir.service"), encoding="utf-8") as lines:
        bounding = next(line.split("=")[1].split() for line in lines if line.startswith("CapabilityBoundingSet="))
    names = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in bounding)
    with _user(), site.Site(2) as lab:
        lab.start_servers()
        os.chown(lab.directory, UID, GID)  # as RuntimeDirectory= does
        driver = site.usual_driver()
        weir = daemon.Weir(lab, report.binary, lab.config(site.services(lab.members(MEMBERS)), driver),
                           before=("setpriv", f"--bounding-set=-all,{names}", "--no-new-privs"),
                           arguments=("--user", "weir"))
        with weir:
            _check_threads(report, weir, driver, {**NEEDED, **(BPF if driver == "af_xdp" else {})}, bounding=0)
            tally = load.requests(lab.namespace("client"), site.VIP4, 80, 300)
            report.check("no request fails", not tally.failed, why=tally.why())


def with_twins(report):
    """The twins' thread and what sets their addresses are the user's too."""
    with _user(), site.Site(2) as lab:
        lab.start_servers()
        os.chown(lab.directory, UID, GID)
        driver = site.usual_driver()
        yaml = lab.config(site.services(lab.members(MEMBERS)), driver, twins=True)
        with daemon.Weir(lab, report.binary, yaml, arguments=("--user", "weir")) as weir:
            _check_threads(report, weir, driver, {**NEEDED, **(BPF if driver == "af_xdp" else {})}, bounding=0)
            tally = load.requests(lab.namespace("client"), site.VIP4, 80, 300)
            report.check("no request fails", not tally.failed, why=tally.why())
            addresses = lab.namespace("weir").run("ip", "-br", "addr", "show", "dev", "uplink").stdout
            report.check("the twin has its addresses", "198.51.100.1/24" in addresses, why=addresses)


def refused(report):
    """What `--user` cannot do is said in one sentence, before any device is touched."""
    with _user(), site.Site(1) as lab:
        yaml = lab.config(site.services(lab.members([(1, 1)])))
        binary = lab.path("weir-program")
        net.run("cp", report.binary, binary)
        nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        for what, arguments, before, named in (
                ("no such user", ("--user", "wier"), (), "there is no user \"wier\" here"),
                ("no such group", ("--user", "weir:wheel9"), (), "there is no group \"wheel9\" here"),
                ("not root", ("--user", "weir"), nobody, "only root can become user weir"),
                ("a socket directory that is root's", ("--user", "weir"), (), "control socket")):
            weir = daemon.Weir(lab, binary, yaml, before=before, arguments=arguments)
            try:
                with weir:
                    report.check(what, False, why="it started")
            except daemon.Refused as end:
                sentence = next((line for line in end.said.split("\n") if named in line), "")
                report.check(f"{what}: exit 4 and one sentence", end.code == 4 and sentence, figure=sentence[:150],
                             why=f"exit {end.code}: {end.said}")


SCENARIOS = [dropped, ambient, unit, with_twins, refused]
