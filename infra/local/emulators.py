"""Emulators of Firestore, Pub/Sub and Cloud Storage, as children that end with us.

    with firestore_emulator() as address:          # "127.0.0.1:41235"
        os.environ["FIRESTORE_EMULATOR_HOST"] = address

The first two are Java programs of the Google Cloud SDK, the third is a Python package
(requirements-dev.txt). `EmulatorMissing` names what is to be installed when the SDK, its component,
Java or the package is absent. An emulator is handed out once it has answered a real API call, not
when its port is open: the Firestore emulator accepts connections before it serves them.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from infra.local.processes import Child, PortTaken, StartFailed, claim_port, free_port

#: Longest start of an emulator, seconds: 2 s on an idle desk, much more on a loaded CI machine.
START_SECONDS = 90.0

#: How often a start is tried again when another process took the free port first.
PORT_ATTEMPTS = 4


class EmulatorMissing(Exception):
    """The SDK, one of its components, Java or a package is absent; the message says which."""


class EmulatorKind(NamedTuple):
    """How one emulator is installed, started and asked whether it serves."""

    name: str
    component: str  #: what `gcloud components install` calls it; a package's name
    script: str  #: below the SDK's root; a package's module
    arguments: tuple[str, ...]
    probe: str  #: a path that answers only when the service is up
    package: bool = False  #: a Python package, not a part of the SDK


FIRESTORE = EmulatorKind(
    "Firestore emulator",
    "cloud-firestore-emulator",
    "platform/cloud-firestore-emulator/cloud_firestore_emulator",
    ("start",),
    "/v1/projects/probe/databases/(default)/documents/probe",
)
PUBSUB = EmulatorKind(
    "Pub/Sub emulator",
    "pubsub-emulator",
    "platform/pubsub-emulator/bin/cloud-pubsub-emulator",
    (),
    "/v1/projects/probe/topics",
)
STORAGE = EmulatorKind(
    "Cloud Storage emulator",
    "gcp-storage-emulator",
    "gcp_storage_emulator",
    ("start", "--in-memory", "--quiet"),
    "/",
    package=True,
)


def sdk_root(environ: Mapping[str, str] | None = None) -> Path:
    """The Google Cloud SDK's folder: `GOOGLE_CLOUD_SDK`, `CLOUDSDK_ROOT`, else what gcloud says."""
    environ = os.environ if environ is None else environ
    for variable in ("GOOGLE_CLOUD_SDK", "CLOUDSDK_ROOT"):
        if folder := environ.get(variable):
            if not Path(folder).is_dir():
                raise EmulatorMissing(f"{variable}={folder} is not a folder")
            return Path(folder)
    gcloud = shutil.which("gcloud", path=environ.get("PATH"))
    if gcloud is None:
        raise EmulatorMissing(
            "the Google Cloud SDK is not installed: see https://cloud.google.com/sdk/docs/install, "
            "or name its folder in GOOGLE_CLOUD_SDK"
        )
    said = subprocess.run(  # noqa: S603 - a fixed command
        [gcloud, "info", "--format=value(installation.sdk_root)"],
        capture_output=True,
        text=True,
        env=dict(environ),
        timeout=60,
        check=False,
    )
    folder = said.stdout.strip()
    if not folder or not Path(folder).is_dir():
        raise EmulatorMissing(
            "gcloud does not say where the Google Cloud SDK is; name its folder in GOOGLE_CLOUD_SDK"
        )
    return Path(folder)


def _java(environ: Mapping[str, str]) -> str:
    home = environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else "java"
    found = shutil.which(java, path=environ.get("PATH"))
    if found is None:
        where = f"JAVA_HOME={home} has no bin/java" if home else "there is no java in PATH"
        raise EmulatorMissing(f"{where}: the emulators need a Java runtime, 11 or newer")
    return found


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status in (200, 404)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _command(kind: EmulatorKind, environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """What starts it, but for its address, and in which environment."""
    if kind.package:
        if importlib.util.find_spec(kind.script) is None:
            raise EmulatorMissing(
                f"the {kind.name} is not installed: pip install -r requirements-dev.txt "
                f"(or the package {kind.component} alone)"
            )
        # -P: what lies in the current folder is not what is meant
        return [sys.executable, "-P", "-m", kind.script, *kind.arguments], dict(environ)
    script = sdk_root(environ) / kind.script
    if not script.exists():
        raise EmulatorMissing(
            f"the {kind.name} is not installed: gcloud components install {kind.component} "
            f"(or the package google-cloud-cli-{kind.component.removeprefix('cloud-')})"
        )
    # `exec`: the Firestore script starts "$JAVA …" as its child; so it becomes Java instead
    return [str(script), *kind.arguments], {**environ, "JAVA": f"exec {_java(environ)}"}


def _ready(child: Child, port: int, path: str) -> bool:
    # the storage emulator lives on when it cannot have its port
    if "address already in use" in child.tail(40).lower():
        raise StartFailed(f"{child.name}: address already in use")
    return _answers(port, path)


class Emulator:
    """A running emulator. `address` is "127.0.0.1:port"; `stop` ends it and its Java."""

    def __init__(self, address: str, child: Child, *, own_log: bool) -> None:
        self.address = address
        self.child = child
        self._own_log = own_log

    def stop(self) -> None:
        """End it; harmless when it has ended."""
        self.child.stop()
        if self._own_log:
            self.child.log.unlink(missing_ok=True)


def start(
    kind: EmulatorKind,
    *,
    port: int = 0,
    log: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Emulator:
    """Start an emulator and wait until it serves. `port` 0 picks a free one.

    Raises `EmulatorMissing`, `PortTaken`, or `StartFailed` with the end of its log.
    """
    environ = os.environ if environ is None else environ
    command, environ = _command(kind, environ)
    own_log = log is None
    if log is None:
        handle, name = tempfile.mkstemp(prefix=f"{kind.component}-", suffix=".log")
        os.close(handle)
        log = Path(name)
    for attempt in range(1, PORT_ATTEMPTS + 1):
        chosen = claim_port(port) if port else free_port()
        child = Child(
            kind.name,
            [*command, "--host=127.0.0.1", f"--port={chosen}"],
            log=log,
            environ=environ,
            grace_seconds=3.0,
        )
        try:
            child.wait_ready(partial(_ready, child, chosen, kind.probe), START_SECONDS)
            if child.poll() is not None:  # somebody else answered on that port
                raise StartFailed(f"{kind.name} ended at start:\n{child.tail()}")
            return Emulator(f"127.0.0.1:{chosen}", child, own_log=own_log)
        except StartFailed:
            child.stop()
            taken = "in use" in child.tail(40).lower()
            if port and taken:
                raise PortTaken(port) from None
            if not taken or attempt == PORT_ATTEMPTS:
                raise
        except BaseException:
            child.stop()
            raise
    raise AssertionError("unreachable")


def make_bucket(address: str, bucket: str) -> None:
    """Make a bucket of a storage emulator, unless it is there. `address` is "127.0.0.1:port"."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        path = "/storage/v1/b?project=local"
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps({"name": bucket}), headers)
        status = connection.getresponse().status
    finally:
        connection.close()
    if status not in (200, 409):
        raise StartFailed(f"the Cloud Storage emulator did not make a bucket ({status})")


@contextmanager
def firestore_emulator(port: int = 0) -> Iterator[str]:
    """A Firestore emulator for the length of the block: its "127.0.0.1:port"."""
    emulator = start(FIRESTORE, port=port)
    try:
        yield emulator.address
    finally:
        emulator.stop()


@contextmanager
def pubsub_emulator(port: int = 0) -> Iterator[str]:
    """A Pub/Sub emulator for the length of the block: its "127.0.0.1:port"."""
    emulator = start(PUBSUB, port=port)
    try:
        yield emulator.address
    finally:
        emulator.stop()
