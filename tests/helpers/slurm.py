"""A SLURM cluster on this machine: real daemons on loopback, and nodes that can crash.

A node is a slurmd in namespaces of its own: all its processes die with it, as if it lost its power,
and it can hide folders from its jobs. Nodes share the machine's other files, as a cluster would.
"""

import contextlib
import importlib.util
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = (*DAEMONS, "sbatch", "srun", "squeue", "scancel", "sinfo", "scontrol", "unshare")
PLUGIN = "snakemake_executor_plugin_slurm"
CONFIGURATION = Path("/etc/slurm/slurm.conf")  # where jobs look: they are given no SLURM_CONF
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
UP = ("idle", "alloc", "mix", "comp")  # states of nodes, in sinfo's short forms
PATIENCE_S = 60
CONF = """
ClusterName=artifact
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
# A job that has lost its node waits for cred_expire before it starts again: 2 minutes by default.
AuthInfo=socket={run}/munge.socket,cred_expire=5
StateSaveLocation={run}/state
SlurmctldPidFile={run}/slurmctld.pid
SlurmctldLogFile={run}/slurmctld.log
SlurmdSpoolDir={run}/spool-%n
SlurmdPidFile={run}/slurmd-%n.pid
SlurmdLogFile={run}/slurmd-%n.log
SlurmdParameters=config_overrides
SchedulerParameters=bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
KillWait=2
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=8000\n"


def missing():
    """Return what keeps this machine from having a cluster, "" if nothing does."""
    absent = [command for command in COMMANDS if shutil.which(command) is None]
    if absent:
        return f"SLURM is not installed (Debian's slurm-wlm and munge): no {', '.join(absent)}"
    if importlib.util.find_spec(PLUGIN) is None:
        return "the extra `slurm` is not installed: make slurm"
    if os.geteuid() != 0:
        return "SLURM's daemons need root"
    if CONFIGURATION.exists():
        return f"this machine has a SLURM of its own: {CONFIGURATION}"
    if subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode:
        return "this user may not make namespaces (unshare)"
    return ""


class Cluster:
    """Daemons that run until the end of a `with` block.

    Args:
        folder: for their files; it is made.
        partitions: {name: its nodes}; none is the default one.
    """

    def __init__(self, folder, partitions):
        self.folder, self._host = folder, socket.gethostname().split(".")[0]
        self._nodes, self._daemons = {}, []
        names = [name for nodes in partitions.values() for name in nodes]
        port, *ports = free_ports(1 + len(names))
        lines = [CONF.format(host=self._host, port=port, run=folder)]
        for name, own in zip(names, ports, strict=True):
            lines.append(NODE.format(name=name, host=self._host, port=own))
        for name, nodes in partitions.items():
            lines.append(f"PartitionName={name} Nodes={','.join(nodes)} Default=NO MaxTime=60\n")
        (folder / "state").mkdir(parents=True)
        self._conf = folder / "slurm.conf"
        self._conf.write_text("".join(lines))

    def __enter__(self):
        CONFIGURATION.parent.mkdir(exist_ok=True)
        CONFIGURATION.unlink(missing_ok=True)  # a link that a killed test has left
        CONFIGURATION.symlink_to(self._conf)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        files = {"key-file": key, "socket": self.folder / "munge.socket"}
        files |= {f"{name}-file": self.folder / f"munge.{name}" for name in ("pid", "log", "seed")}
        options = [f"--{name}={file}" for name, file in files.items()]
        self._daemons.append(self._start("munged", "--foreground", "--force", *options))
        self._wait(files["socket"].exists)
        self._daemons.append(self._start("slurmctld", "-D", "-f", str(self._conf)))
        self._wait(lambda: "UP" in self._ask("scontrol", "ping"))
        return self

    def __exit__(self, *_):
        for name in list(self._nodes):
            self.crash(name)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            daemon.wait(PATIENCE_S)
        CONFIGURATION.unlink()

    def boot(self, name, *hidden):
        """Start a node and wait until it takes jobs; the files in `hidden` are empty there."""
        covers = []
        for path in hidden:
            cover = ("-t", "tmpfs", "none") if path.is_dir() else ("--bind", os.devnull)
            covers.append(shlex.join(["mount", *cover, str(path)]))
        slurmd = shlex.join(["exec", "slurmd", "-D", "-f", str(self._conf), "-N", name])
        self._nodes[name] = self._start(*NAMESPACES, "sh", "-c", " && ".join([*covers, slurmd]))
        self._wait(lambda: self._state(name) in UP)

    def crash(self, name):
        """Kill a node with all that runs there: its slurmd is the init process of its namespace."""
        node = self._nodes.pop(name)
        (init,) = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()
        os.kill(int(init), signal.SIGKILL)
        node.wait(PATIENCE_S)
        # SLURM would see it by itself, after a timeout that is longer than a slow node needs.
        self._ask("scontrol", "update", f"NodeName={name}", "State=DOWN", "Reason=crashed")

    def jobs(self, *fields):
        """Return a list of the fields of each job, also of those that have ended.

        Args:
            fields: as in squeue's --Format.
        """
        columns = ",".join(f"{field}:60" for field in fields)
        listing = self._ask("squeue", "-h", "--states=all", "--sort=i", f"--Format={columns}")
        return [line.split() for line in listing.splitlines()]

    def _state(self, name):
        return self._ask("sinfo", "--noheader", "--Node", "--format=%t", f"--nodes={name}").strip()

    def _start(self, *command):
        with (self.folder / f"{command[0]}.out").open("a") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def _ask(self, *command):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def _wait(self, condition):
        """Wait until `condition()` is true; else fail with the ends of all logs."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                logs = [*self.folder.glob("*.log"), *self.folder.glob("*.out")]
                raise AssertionError("\n".join(f"{log}: {log.read_text()[-1500:]}" for log in logs))
            time.sleep(0.1)


def cache():
    """Return this user's folder for caches, which a node of a cluster need not see."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def interpreter():
    """Return the file of the running python, behind all links."""
    return Path(sys.executable).resolve()


def free_ports(number):
    """Return ports of the loopback device that nothing listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
