"""Start a module in a moment: fork a process that has imported jax and the rest already.

    python -m workflow.scripts.warm workflow.scripts.run --spec ... --output ...

is `python -m workflow.scripts.run ...`, in a process of its own, with the same arguments,
variables, output and exit status. Where there are many short jobs (dag.py, `WARM`), the DAG starts
the server (`start`) and its rules go through here; without a server the module starts the ordinary
way. What a fork shares is other people's packages: the code of this repository
is imported anew in every process, and no jax backend exists before the fork.
"""

import contextlib
import importlib
import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

VARIABLE = "WARM_PROCESS"  # holds the folder of the server's socket
PACKAGES = ("jax", "flax.linen", "optax", "pandas", "pyarrow.parquet", "scipy.ndimage")
PACKAGES += ("scipy.optimize", "scipy.stats", "jsonschema", "matplotlib.backends.backend_agg")
PLACES = (None, "/tmp", "/var/tmp")  # None: TMPDIR, too long for a socket in some batch systems
POLL_SECONDS = 0.5
STREAMS = (1, 2)  # standard output and error


def start() -> None:
    """Start a server for what this process starts; it ends when this process does, however so.

    Where no folder can hold its socket there is none, and modules start the ordinary way.
    """
    with socket.socket(socket.AF_UNIX) as listener:
        if not _bound(listener):
            return
        listener.listen(64)  # from now on; requests wait here for the imports
        numbers = (os.getpid(), listener.fileno())
        command = [sys.executable, "-m", __name__, "--serve", *map(str, numbers)]
        # A fork takes no threads along, and cannot set up the streams that it takes over.
        more = {"OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": ":backslashreplace"}
        variables = {**os.environ, **more}
        subprocess.Popen(command, env=variables, pass_fds=numbers[1:])


def _bound(listener: socket.socket) -> bool:
    """Bind a socket in the first folder that can hold it; return whether there is one."""
    for place in PLACES:
        with contextlib.suppress(OSError):
            folder = os.environ[VARIABLE] = tempfile.mkdtemp(prefix="warm-", dir=place)
            try:
                listener.bind(str(_socket()))
                return True
            except OSError:
                shutil.rmtree(folder)
    os.environ.pop(VARIABLE, None)
    return False


def _socket() -> Path:
    """Return the path of the server's socket; a Python of another environment finds none there."""
    return Path(os.environ[VARIABLE], f"{zlib.crc32(sys.prefix.encode()):x}")


def serve(parent: int, descriptor: int) -> None:
    """Fork for every request until the process that started this one has ended.

    Args:
        parent: its number.
        descriptor: of the socket at which it listens.
    """
    with socket.socket(fileno=descriptor) as listener:
        for name in PACKAGES:
            importlib.import_module(name)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends when its parent does
        listener.settimeout(POLL_SECONDS)
        while os.getppid() == parent:
            with contextlib.suppress(TimeoutError), listener.accept()[0] as connection:
                if os.fork() == 0:
                    listener.close()
                    _become(connection)
    shutil.rmtree(os.environ[VARIABLE], ignore_errors=True)


def _become(connection: socket.socket) -> None:
    """Be the process that was asked for: run the module, send its exit status, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _, streams, _, _ = socket.recv_fds(connection, 1, len(STREAMS))
    for ours, theirs in zip(STREAMS, streams, strict=True):
        os.dup2(theirs, ours)
    request = json.loads(connection.makefile().readline())
    os.environ.clear()
    os.environ.update(request["variables"])
    sys.argv = request["arguments"]
    status = 1
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(bytes([status]))
        os._exit(status)


def ask(arguments: list[str]) -> int:
    """Have the server run a module and return its exit status; start it here if there is none.

    Args:
        arguments: the module and its arguments.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(_socket()))
        except (KeyError, OSError):
            os.execv(sys.executable, [sys.executable, "-m", *arguments])
        request = {"arguments": arguments, "variables": dict(os.environ)}
        socket.send_fds(connection, [b"."], STREAMS)
        connection.sendall(json.dumps(request).encode() + b"\n")
        status = connection.recv(1)
        return status[0] if status else 1  # nothing: it was killed


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(*map(int, sys.argv[2:]))
    else:
        sys.exit(ask(sys.argv[1:]))
