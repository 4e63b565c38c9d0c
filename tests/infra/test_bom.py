"""The bill of materials: everything that is installed for functions, under licences that we know."""

from __future__ import annotations

import json
import re
from email.message import Message
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra.ci import bom, lock, package

LOCKED = lock.pinned("requirements.txt")

#: What any product deploys.
ALL = {
    name: at
    for target in lock.LOCKS
    if "-" not in target
    for name, at in lock.pinned(target).items()
}


def _of(name: str) -> str:
    """A product that deploys a package."""
    own = (
        each
        for each in ("hemoday", "medmind", "buildtrace")
        if name in lock.pinned(lock.deployed(each))
    )
    return lock.DEFAULT if name in LOCKED else next(own)


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bom.bill())
    return found


@pytest.mark.proof
def test_it_is_valid_cyclonedx() -> None:
    check = JsonStrictValidator(SchemaVersion.V1_6)
    assert check.validate_str(bom.bill()) is None
    wrong = bom.bill().replace('"type": "library"', '"type": "books"', 1)
    assert check.validate_str(wrong) is not None


def test_it_names_exactly_the_lock(bill: dict[str, Any]) -> None:
    assert {each["name"]: each["version"] for each in bill["components"]} == LOCKED
    for each in bill["components"]:
        assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}"


def test_it_has_the_hashes_of_the_lock(bill: dict[str, Any]) -> None:
    said = {
        found["content"]
        for each in bill["components"]
        for reference in each["externalReferences"]
        for found in reference["hashes"]
    }
    text = (lock.REPOSITORY / "requirements.txt").read_text("utf-8")
    assert said == set(re.findall("sha256:([0-9a-f]{64})", text))


def test_it_says_who_asked_for_what(bill: dict[str, Any]) -> None:
    asks = {each["ref"]: set(each.get("dependsOn", ())) for each in bill["dependencies"]}
    reached: set[str] = set()
    new = asks["dermadetect-cloud"]
    assert len(new) == len(lock.wanted("requirements.txt"))
    while new:
        reached |= new
        new = set().union(*(asks[each] for each in new)) - reached
    assert reached == {each["bom-ref"] for each in bill["components"]}
    assert (
        f"pkg:pypi/cryptography@{LOCKED['cryptography']}"
        in asks[f"pkg:pypi/pyjwt@{LOCKED['pyjwt']}"]
    )


@pytest.mark.proof
def test_the_same_lock_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        assert package.main(["--to", str(tmp_path / folder)]) == 0
    first, second = ((tmp_path / each / "bom.json").read_bytes() for each in ("a", "b"))
    assert first == second


@pytest.mark.parametrize("name", bom.EXCEPTIONS)
def test_nothing_is_packed_with_a_licence_that_nobody_looked_at(name: str) -> None:
    rest = {each: why for each, why in bom.EXCEPTIONS.items() if each != name}
    with pytest.raises(bom.LicenceError, match=f"^{name} .* is not among"):
        bom.bill(rest, _of(name))
    licences, why = bom.EXCEPTIONS[name]
    assert len(why.split()) > 5
    for licence in licences:
        with pytest.raises(bom.LicenceError, match=f"^{name} .*{licence}.* is not among"):
            bom.bill({**rest, name: (licences - {licence}, why)}, _of(name))


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", False),
        ("(GPL-3.0-only OR MIT) AND BSD-3-Clause", True),
    ],
)
def test_what_may_be_used(expression: str, verdict: bool) -> None:
    assert bom.accepted(expression) is verdict


class Installed(Distribution):
    """A package that says this of its licence."""

    def __init__(self, **metadata: str) -> None:
        self._metadata = Message()
        for name, value in {"Name": "new", "Version": "1", **metadata}.items():
            self._metadata[name.replace("_", "-")] = value

    @property
    def metadata(self) -> Any:
        return self._metadata

    def read_text(self, filename: str) -> None:
        return None

    def locate_file(self, path: Any) -> Path:
        return Path("/no-such-place") / path


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ({"License_Expression": "MIT OR Apache-2.0"}, "MIT OR Apache-2.0"),
        ({"License": "Apache 2.0"}, "Apache-2.0"),
        ({"License": "BSD-3-Clause", "License_Expression": "MIT"}, "MIT"),
    ],
)
def test_a_licence_is_read_from_the_metadata(said: dict[str, str], read: str) -> None:
    assert bom.licence(Installed(**said)) == read


@pytest.mark.parametrize("said", ["", "Dual License", "see LICENSE", "MIT AND ("])
def test_a_licence_that_is_none_stops_the_package(said: str) -> None:
    with pytest.raises(bom.LicenceError, match="new 1"):
        bom.licence(Installed(License=said))


def test_every_library_that_a_wheel_carries_is_named() -> None:
    found: dict[str, set[str]] = {}
    for name in ALL:
        if name == "colorama":  # for Windows
            continue
        for path in distribution(name).files or ():
            if path.parts[0].endswith(".libs"):
                found.setdefault(name, set()).add(path.name.split("-")[0])
    assert {name: set(libraries) for name, libraries in bom.BUNDLED.items()} == found
