"""What is installed for functions is what was tested: every package, at one version, by its hash."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.version import Version

from infra.ci import lock, package
from shared.products.known import names

#: name==version, a condition perhaps, then hashes.
ENTRY = re.compile(
    r"^([a-z0-9.-]+)==([^\s;]+)(?: ; [^\\\n]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.M
)


def entries(target: str) -> dict[str, tuple[str, str]]:
    """Name → version and hashes."""
    text = (lock.REPOSITORY / target).read_text("utf-8")
    rest = ENTRY.sub("", text).split("\n", 1)
    assert rest[0].startswith("# Made of")
    assert rest[1].strip() == "", (
        "something is no package with its hashes: an index, a path, an option"
    )
    return {name: (version, hashes) for name, version, hashes in ENTRY.findall(text)}


@pytest.mark.parametrize("target", lock.LOCKS)
def test_the_lock_holds_what_is_asked_for(target: str) -> None:
    locked = entries(target)
    asked = lock.wanted(target)
    assert asked
    for requirement in asked:
        name, _, version = re.sub(r"\[\w+\]", "", requirement).partition("==")
        assert locked[name.lower()][0] == version, f"{requirement}: run `make lock`"


def test_what_is_tested_is_what_is_deployed() -> None:
    *deployed, tested = (entries(target) for target in lock.LOCKS)
    assert all(each.items() <= tested.items() for each in deployed)
    for product in names():
        files = package.files(product)
        assert files[Path("requirements.txt")] == lock.REPOSITORY / lock.deployed(product)


def test_what_a_product_adds_is_locked_beside_what_all_have() -> None:
    host, core, added, alone, tests = lock.locks(
        ["gcp", "drawings", "dev"], ["plain", "drawings"]
    ).items()
    assert host == ("requirements-host.txt", ())
    assert core == ("requirements.txt", ("gcp",))
    assert added == ("requirements/drawings.txt", ("gcp", "drawings"))
    assert alone == ("requirements/drawings-host.txt", ("drawings",))
    assert tests == ("requirements-dev.txt", ("gcp", "drawings", "dev"))


def test_only_known_products_add_packages() -> None:
    assert set(lock.EXTRAS) - set(names()) == {
        "gcp",
        "otlp",
        "parquet",
        "speech",
        "sentences",
        "dev",
    }
    assert lock.deployed(lock.DEFAULT) == "requirements.txt"


def test_a_clinic_s_server_installs_nothing_of_google_s() -> None:
    of_google = re.compile("google|grpc|proto")
    assert not [name for name in entries("requirements-host.txt") if of_google.match(name)]
    assert [name for name in entries("requirements.txt") if of_google.match(name)]


def test_this_environment_is_the_lock() -> None:
    locked = lock.pinned("requirements-dev.txt")
    installed = {
        re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower(): str(Version(each.version))
        for each in distributions()
    }
    other = {
        name: version for name, version in installed.items() if locked.get(name, version) != version
    }
    assert other == {}, "make test, or pip install --require-hashes -r requirements-dev.txt"
    conditional = {"colorama", "tzdata", "tzlocal"}  # Windows alone
    assert set(locked) - conditional <= set(installed)


def test_everything_that_installs_wants_hashes() -> None:
    for path in ("Makefile", "cloudbuild.yaml"):
        text = (lock.REPOSITORY / path).read_text("utf-8")
        calls = re.findall(r"pip install .*-r requirements.*", text)
        assert calls
        assert all("--require-hashes" in call for call in calls), path
