"""Terraform's files as values: strings without their quotes, expressions as `${…}`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
from hcl2.utils import SerializationOptions

ROOT = Path(__file__).resolve().parents[2]
TERRAFORM = ROOT / "terraform"
ENVIRONMENTS = sorted(path for path in (TERRAFORM / "environments").iterdir() if path.is_dir())

_PLAIN = SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)


#: The parser keeps its state in one place: two threads at once get each other's.
_PARSING = threading.Lock()


@cache
def read(path: Path) -> dict[str, Any]:
    """One file."""
    with _PARSING:
        found: dict[str, Any] = hcl2.loads(path.read_text("utf-8"), serialization_options=_PLAIN)
    return found


def files() -> list[Path]:
    """Every file of the configuration and its modules."""
    return sorted(path for path in TERRAFORM.rglob("*.tf") if ".terraform" not in path.parts)


def resources() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Type, name and body of every resource."""
    for path in files():
        for block in read(path).get("resource", ()):
            for kind, named in block.items():
                for name, body in named.items():
                    yield kind, name, body


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    """Bodies of all resources of a type, by name."""
    return {name: body for found, name, body in resources() if found == kind}


def local(name: str) -> Any:
    """A local value, as it stands in the root module."""
    for path in sorted(TERRAFORM.glob("*.tf")):
        for block in read(path).get("locals", ()):
            if name in block:
                return block[name]
    raise KeyError(name)


def variables(path: Path) -> dict[str, dict[str, Any]]:
    """Declared variables of a file."""
    return {name: body for block in read(path).get("variable", ()) for name, body in block.items()}
