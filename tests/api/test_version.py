"""`/version`: the release of the code, and the commit as far as the deployment names it."""

from __future__ import annotations

import tomllib

import pytest

from shared.errors import ConfigurationFault
from shared.settings import VERSION, load
from tests.api.conftest import ROOT, StartApi, start_api

__all__ = ["start_api"]


@pytest.mark.parametrize(
    ("commit", "release"), [("", VERSION), ("1a2b3c4", f"{VERSION}+1a2b3c4")], ids=["none", "named"]
)
def test_it_says_the_release_and_the_commit(commit: str, release: str, start_api: StartApi) -> None:
    answer = start_api(source_commit=commit).ask("GET", "/version")
    assert answer.json == {
        "version": VERSION,
        "commit": commit or None,
        "product": "dermadetect",
    }
    assert load({"SOURCE_COMMIT": commit}).release == release


def test_the_package_takes_its_version_from_the_code() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "shared.settings.VERSION"
    }


def test_a_commit_is_a_name_and_nothing_else() -> None:
    with pytest.raises(ConfigurationFault, match="SOURCE_COMMIT"):
        load({"SOURCE_COMMIT": "a b\n{}"})
