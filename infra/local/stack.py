"""The whole back end on one machine, started and ended as one thing.

    with Stack(profile="local", data=tmp_path) as stack:
        requests.get(f"{stack.url}/health")

A profile is a set of defaults for settings (`shared/settings.py`; what the caller's environment says
wins) and a way to serve:

- `local`: one server serves every function on the public port (`server.py`);
- `emulator`: every function is a process of its own, started by functions-framework exactly as
  deployed, behind a gateway. `RECORD_STORE=firestore`, `JOB_QUEUE=pubsub` and `FILE_STORE=gcs` start
  their emulators unless FIRESTORE_EMULATOR_HOST, PUBSUB_EMULATOR_HOST or FILES_ENDPOINT names one,
  `MODEL=vertex` the local Vertex server unless VERTEX_ENDPOINT names a real one.

In both, `JOB_QUEUE=sqlite` starts the dispatcher. Everything ends with us, however we end
(`processes.py`).

`kill` is a power cut for what serves; emulators, being the stores, live on. After `kill` or `stop`,
`start` begins again on the same port and data.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO

from infra.local import emulators, private
from infra.local.claim import claim
from infra.local.environment import STACK_ENVIRONMENT
from infra.local.installed import demand_installed
from infra.local.processes import Child, PortTaken, StartFailed, claim_port, free_port, rotate
from infra.local.table import REPOSITORY, TABLE, Function, load, subscribers
from shared.accounts.throttle import is_loopback
from shared.adapters.pubsub import PushSubscription, create_subscriptions
from shared.adapters.sqlite_queue import FILE_NAME as DOORBELLS
from shared.errors import ConfigurationFault
from shared.products.known import variables
from shared.settings import load as load_settings
from shared.settings import private_folder

#: What a profile sets where the environment says nothing.
PROFILES: Mapping[str, Mapping[str, str]] = {
    "local": {
        "RECORD_STORE": "sqlite",
        "JOB_QUEUE": "sqlite",
        "FILE_STORE": "folder",
        "MODEL": "scripted",
    },
    "emulator": {
        "RECORD_STORE": "firestore",
        "JOB_QUEUE": "pubsub",
        "FILE_STORE": "gcs",
        "FILES_BUCKET": "local-files",
        "MODEL": "vertex",
        "GOOGLE_CLOUD_PROJECT": "demo-dermadetect",
        "TRUSTED_PROXIES": "1",  # the gateway
    },
}

#: Number of the local Vertex server's endpoint; any will do.
_ENDPOINT = "1234567890"

#: Longest start of a process, seconds: 2 s each on an idle desk, all at once on a loaded machine.
START_SECONDS = 120.0

#: How often a child is started again when another process took its port first.
_PORT_ATTEMPTS = 4


class Stack:
    """See the module's docstring.

    `port` 0 picks a free one. `environ` is added to this process's environment for the children.
    `workers` is for the local profile. `min_backoff_seconds` replaces the subscriptions' first wait
    after a refused bell. `source` and `table` are another entry point with its functions.yaml.
    """

    def __init__(
        self,
        *,
        profile: str = "local",
        data: Path | str | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        sweep_seconds: float = 60.0,
        environ: Mapping[str, str] | None = None,
        workers: int | None = None,
        min_backoff_seconds: float | None = None,
        source: Path = REPOSITORY / "main.py",
        table: Path = TABLE,
    ) -> None:
        self.profile = profile
        self.host = host
        self.environ = self._settings({**os.environ, **(environ or {})}, data)
        self.functions = load(table, load_settings(self.environ).product)
        self.data = Path(self.environ["DATA_FOLDER"])
        self.port = 0  #: the public port, once started
        self._wanted_port = port
        self._sweep_seconds = sweep_seconds
        self._workers = workers or min(4, max(2, os.cpu_count() or 1))
        self._min_backoff_seconds = min_backoff_seconds
        self._source, self._table = source, table
        self._ports: dict[str, int] = {}
        self._serving: dict[str, Child] = {}
        self._emulators: dict[str, emulators.Emulator] = {}
        self._runtime: tempfile.TemporaryDirectory[str] | None = None
        self._claim: IO[str] | None = None

    # --- what a caller asks ---

    @property
    def url(self) -> str:
        """Where the public paths are, for callers on this machine."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def logs(self) -> Path:
        """The folder with one log file a process; a start adds to them."""
        return self.data / "logs"

    def address(self, name: str) -> str:
        """The URL at which this machine calls a push or scheduled function."""
        if self.profile == "local":
            return f"{self.url}{self.functions[name].private_path}"
        return f"http://127.0.0.1:{self._ports[name]}/"

    @property
    def own_headers(self) -> dict[str, str]:
        """What a caller of these functions shows: see `private.py`."""
        return {private.HEADER: private.secret(self.data)}

    def start(self) -> Stack:
        """Start what does not run; everything serves when this returns.

        Raises `PortTaken`, `EmulatorMissing`, `ConfigurationFault`, or `StartFailed` with the end of
        a child's log; nothing is left running then.
        """
        try:
            private_folder(self.data, all_of_it=True)
            self._claim = self._claim or claim(self.data)
            if not self.port:
                self.port = claim_port(self._wanted_port, self.host)
            # the data folder may be long, and Unix sockets are addressed in 107 bytes
            self._runtime = self._runtime or tempfile.TemporaryDirectory(prefix="stack-")
            if self.profile == "local":
                self._run_all({"server": self._server})
            else:
                self._start_emulators()
                self._make_bucket()
                self._start_processes()
            self._run_all({"postman": self._postman})
            self._tell()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End everything in good order; harmless when it has ended."""
        for child in self._serving.values():
            child.let_go()
        for child in self._serving.values():
            child.stop()
        self._serving.clear()
        for emulator in self._emulators.values():
            emulator.child.let_go()
        for emulator in self._emulators.values():
            emulator.stop()
        self._emulators.clear()
        if self._runtime is not None:
            self._runtime.cleanup()
            self._runtime = None
        self._let_go()

    def kill(self) -> None:
        """SIGKILL to everything that serves or delivers. Emulators keep what they hold."""
        if self._serving:
            with ThreadPoolExecutor(len(self._serving)) as pool:
                list(pool.map(Child.kill, self._serving.values()))
        self._serving.clear()
        self._let_go()

    def _let_go(self) -> None:
        """Others may serve the data folder."""
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def children(self) -> list[Child]:
        """All processes of the stack."""
        return [
            *self._serving.values(),
            *(emulator.child for emulator in self._emulators.values()),
        ]

    def check(self) -> None:
        """Raises `StartFailed` naming a child that has ended by itself, with its last words."""
        for child in self.children():
            if (code := child.poll()) is not None:
                raise StartFailed(f"{child.name} ended with code {code}:\n{child.tail()}")

    def wait(self) -> None:
        """Stay until a child ends by itself; raises `StartFailed` then. Puts logs aside that have grown."""
        while True:
            self.check()
            for child in self.children():
                rotate(child.log)
            time.sleep(0.2)

    def __enter__(self) -> Stack:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # --- settings ---

    def _settings(self, environ: dict[str, str], data: Path | str | None) -> dict[str, str]:
        if self.profile not in PROFILES:
            raise ConfigurationFault(
                f"the profile is one of {', '.join(PROFILES)}", field="profile"
            )
        for name, value in PROFILES[self.profile].items():
            environ[name] = environ.get(name) or value
        self._own_vertex = (
            self.profile == "emulator"
            and environ["MODEL"] == "vertex"
            and not environ.get("VERTEX_ENDPOINT")
        )
        folder = Path(data or environ.get("DATA_FOLDER") or ".data").resolve()
        environ["DATA_FOLDER"] = str(folder)
        environ["PYTHONUNBUFFERED"] = "1"
        # As in Terraform: with a heap for each thread the same load takes more memory, and more time.
        environ.setdefault("MALLOC_ARENA_MAX", "2")
        if self._own_vertex:
            environ["VERTEX_ENDPOINT"] = _ENDPOINT
            environ["VERTEX_CREDENTIALS"] = "anonymous"
            for name in ("NO_PROXY", "no_proxy"):
                said = environ.get(name)
                environ[name] = ",".join(filter(None, [said, "localhost", "127.0.0.1"]))
        demand_installed(load_settings(environ))
        if not is_loopback(self.host) and not environ.get("TRUSTED_PROXIES"):
            raise ConfigurationFault(
                f"TRUSTED_PROXIES is needed with --host {self.host}: how many proxies of yours are in "
                "front, 0 for none. Else a stranger's wrong tries may be counted as everybody's.",
                field="TRUSTED_PROXIES",
            )
        return environ

    # --- the parts ---

    def _start_emulators(self) -> None:
        settings = (
            ("RECORD_STORE", "firestore", emulators.FIRESTORE, "FIRESTORE_EMULATOR_HOST"),
            ("JOB_QUEUE", "pubsub", emulators.PUBSUB, "PUBSUB_EMULATOR_HOST"),
            ("FILE_STORE", "gcs", emulators.STORAGE, "FILES_ENDPOINT"),
        )
        wanted = [
            (kind, variable)
            for setting, value, kind, variable in settings
            if self.environ[setting] == value and not self.environ.get(variable)
        ]
        if not wanted:
            return
        with ThreadPoolExecutor(len(wanted)) as pool:
            starts = {
                variable: pool.submit(
                    emulators.start,
                    kind,
                    log=self._log(kind.component),
                    environ=self.environ.copy(),
                )
                for kind, variable in wanted
            }
        for variable, start in starts.items():  # first those that came up, so that stop ends them
            if start.exception() is None:
                self._emulators[variable] = start.result()
                self.environ[variable] = self._scheme(variable) + start.result().address
        for start in starts.values():
            start.result()

    @staticmethod
    def _scheme(variable: str) -> str:
        return "http://" if variable == "FILES_ENDPOINT" else ""

    def _make_bucket(self) -> None:
        """On this machine; elsewhere buckets are somebody's decision."""
        scheme, _, address = self.environ.get("FILES_ENDPOINT", "").partition("://")
        if self.environ["FILE_STORE"] == "gcs" and scheme == "http":
            emulators.make_bucket(address.rstrip("/"), self.environ["FILES_BUCKET"])

    def _start_processes(self) -> None:
        parts: dict[str, Callable[[], Child]] = {}
        if self._own_vertex:
            self._ports.setdefault("vertex", free_port())
            self.environ["VERTEX_API_ENDPOINT"] = f"https://localhost:{self._ports['vertex']}"
            parts["vertex"] = self._vertex
        for function in self.functions.values():
            self._ports.setdefault(function.name, free_port())
            parts[function.name] = partial(self._function, function)
        with ThreadPoolExecutor(1) as pool:
            # while the functions start; the emulator delivers nothing before the first bell
            subscribed = pool.submit(self._subscribe)
            self._run_all(parts)
            subscribed.result()
        self._run_all({"gateway": self._gateway})

    def _tell(self) -> None:
        """Leave the settings (no secrets) in the data folder, so that tools can work on the same stores."""
        names = {name for name, spec in variables().items() if not spec.metadata["secret"]}
        names |= {"FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"}
        known = {name: self.environ[name] for name in sorted(names & self.environ.keys())}
        (self.data / STACK_ENVIRONMENT).write_text(json.dumps(known, indent=1))

    def _run_all(self, parts: Mapping[str, Callable[[], Child]]) -> None:
        """Start parts side by side and wait until each serves."""
        for name, make in parts.items():
            if name not in self._serving:
                self._serving[name] = make()
        for name, make in parts.items():
            for attempt in range(1, _PORT_ATTEMPTS + 1):
                child = self._serving[name]
                try:
                    child.wait_ready(partial(self._serves, name), START_SECONDS)
                    break
                except StartFailed:
                    taken = "in use" in child.tail(40).lower()
                    if taken and name in ("server", "gateway") and self._wanted_port:
                        raise PortTaken(self.port) from None
                    if not taken or attempt == _PORT_ATTEMPTS:
                        raise
                    # A killed predecessor may hold the port a moment longer.
                    child.stop()
                    self._serving[name] = make()

    def _serves(self, name: str) -> bool:
        if name == "postman":
            return "ready: " in self._serving[name].tail(40)
        port = self.port if name in ("server", "gateway") else self._ports[name]
        if name == "vertex":
            return f"ready: https://localhost:{port}" in self._serving[name].tail(40)
        # functions-framework answers this path itself; any answer means that the function is loaded
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/robots.txt")
            return connection.getresponse().status in (404, 405)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _server(self) -> Child:
        return self._module(
            "server",
            "infra.local.server",
            *("--host", self.host, "--port", str(self.port), "--workers", str(self._workers)),
            "--claimed",
            *("--source", str(self._source), "--table", str(self._table)),
        )

    def _function(self, function: Function) -> Child:
        script = Path(sys.executable).with_name("functions-framework")
        command = str(script) if script.exists() else shutil.which("functions-framework")
        if command is None:
            raise ConfigurationFault("functions-framework is not installed: pip install -r …")
        environ = {
            **function.environment,
            **self.environ,
            "FUNCTION_TARGET": function.name,
            "THREADS": str(function.threads),
            # gunicorn keeps a control socket here; the default is one for all
            "XDG_RUNTIME_DIR": self._private_folder(function.name),
        }
        if function.trigger == "push" and self._own_vertex:
            # replaces the usual roots for every call by `requests`: for those who analyse only
            environ["REQUESTS_CA_BUNDLE"] = str(self._tls / "ca.pem")
        return Child(
            function.name,
            [
                *(command, "--source", self._source.name, "--target", function.name),
                *("--signature-type", function.signature),
                *("--host", "127.0.0.1", "--port", str(self._ports[function.name])),
            ],
            log=self._log(function.name),
            environ=environ,
            cwd=self._source.parent,
        )

    def _vertex(self) -> Child:
        port = str(self._ports["vertex"])
        return self._module("vertex", "infra.local.vertex", "--port", port, "--tls", str(self._tls))

    def _gateway(self) -> Child:
        upstreams = [
            word
            for function in self.functions.values()
            if function.trigger == "http"
            for word in ("--upstream", f"{function.name}={self._ports[function.name]}")
        ]
        return self._module(
            "gateway",
            "infra.local.gateway",
            *("--host", self.host, "--port", str(self.port), "--table", str(self._table)),
            *upstreams,
        )

    def _postman(self) -> Child:
        arguments: list[str] = ["--sweep-seconds", str(self._sweep_seconds)]
        for function in self.functions.values():
            if function.trigger == "schedule":
                arguments += ["--sweeper", self.address(function.name)]
        kinds = subscribers(self.functions.values())
        if self.environ["JOB_QUEUE"] == "sqlite" and kinds:
            arguments += ["--doorbells", str(self.data / DOORBELLS)]
            for kind, (function, dead) in kinds.items():
                arguments += ["--subscriber", f"{kind}={self.address(function.name)}"]
                arguments += ["--dead-letters", self.address(dead.name)]
                arguments += ["--ack-deadline-seconds", str(function.ack_deadline_seconds)]
                arguments += ["--min-backoff-seconds", str(self._backoff(function))]
                arguments += ["--max-backoff-seconds", str(function.max_backoff_seconds)]
                arguments += ["--max-delivery-attempts", str(function.max_delivery_attempts)]
        return self._module("postman", "infra.local.postman", *arguments)

    def _subscribe(self) -> None:
        if self.environ["JOB_QUEUE"] != "pubsub":
            return
        pushes = [
            PushSubscription(
                kind,
                self.address(function.name),
                self.address(dead.name),
                function.ack_deadline_seconds,
                self._backoff(function),
                function.max_backoff_seconds,
                function.max_delivery_attempts,
            )
            for kind, (function, dead) in subscribers(self.functions.values()).items()
        ]
        create_subscriptions(
            self.environ["GOOGLE_CLOUD_PROJECT"],
            pushes,
            self.environ.get("TOPIC_PREFIX", ""),
            emulator=self.environ["PUBSUB_EMULATOR_HOST"],
        )

    def _backoff(self, function: Function) -> float:
        if self._min_backoff_seconds is None:
            return function.min_backoff_seconds
        return self._min_backoff_seconds

    def _module(self, name: str, module: str, *arguments: str) -> Child:
        command: Sequence[str] = [sys.executable, "-m", module, *arguments]
        return Child(name, command, log=self._log(name), environ=self.environ, cwd=REPOSITORY)

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    @property
    def _tls(self) -> Path:
        return self.data / "vertex-tls"

    def _private_folder(self, name: str) -> str:
        if self._runtime is None:
            raise RuntimeError("the stack is not started")
        folder = Path(self._runtime.name) / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return str(folder)
