"""What operators do by hand about accounts: users, invites, signing keys."""

from __future__ import annotations

import io
import re

import pytest

from infra.cli.root import main
from shared import wiring
from shared.accounts.caller import Origin
from tests.accounts.conftest import PASSWORD, code_of
from tests.api.conftest import Api


class Shell:
    """Runs commands of `infra.cli` in this process, on the stores of the API."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._patch = capsys, monkeypatch

    def __call__(self, words: str, given: str = "") -> str:
        self._patch.setattr("sys.stdin", io.StringIO(given))
        self._capsys.readouterr()
        code = main(words.split())
        out, err = self._capsys.readouterr()
        return out if code == 0 else f"{code}: {err}"


@pytest.fixture
def run(api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(capsys, monkeypatch)


def log_in(email: str, password: str) -> str:
    services = wiring.accounts()
    return code_of(
        lambda: services.login.log_in(email, password, Origin("192.0.2.1"), wiring.clock_ms())
    )


def test_an_operator_makes_the_first_admin_and_helps_out(run: Shell) -> None:
    said = run(
        "users create Boss@example.org --id boss --scope team1 --role admin", PASSWORD + "\n"
    )
    assert said == "made boss\n"
    assert log_in("boss@example.org", PASSWORD) == "ok"
    listed = run("users list")
    assert re.search(r"^boss +boss@example.org +active +team1:admin$", listed, re.M)
    said = run("users reset boss@example.org")
    made = re.search(r"shown only here: (\S+)\n", said)
    assert made
    assert log_in("boss@example.org", PASSWORD) == "credentials_wrong"
    assert log_in("boss@example.org", made[1]) == "ok"


def test_an_operator_disables_and_enables(run: Shell) -> None:
    run("users create a@example.org --id amina --scope team1", PASSWORD + "\n")
    assert run("users disable a@example.org") == "amina is disabled; all its sessions are over\n"
    assert log_in("a@example.org", PASSWORD) == "account_disabled"
    assert re.search(r"^amina +a@example.org +disabled team1:member$", run("users list"), re.M)
    assert run("users enable amina") == "amina may log in again\n"
    assert log_in("a@example.org", PASSWORD) == "ok"


def test_an_operator_deletes_an_account(run: Shell) -> None:
    run("users create a@example.org --id amina --name Amina --scope team1", PASSWORD + "\n")
    assert run("users delete a@example.org").startswith("amina is deleted")
    assert run("users delete amina").startswith("amina is deleted")  # may be repeated
    assert "a@example.org" not in run("users list")
    assert log_in("a@example.org", PASSWORD) == "credentials_wrong"
    assert run("users delete a@example.org").startswith("1: not_found")


@pytest.mark.parametrize(
    ("words", "given", "code"),
    [
        ("users create boss", PASSWORD, "invalid_email"),
        ("users create a@example.org", "short", "password_length"),
        ("users create a@example.org", "password123", "password_guessable"),
        ("users create a@example.org --id a/b", PASSWORD, "invalid_request"),
        ("users create a@example.org --id o-123", PASSWORD, "invalid_request"),
        ("users create a@example.org --id ~operator", PASSWORD, "invalid_request"),
        ("users create a@example.org --id __a__", PASSWORD, "invalid_request"),
        ("users create a@example.org --id boss --scope ~unfiled", PASSWORD, "invalid_request"),
        ("grant ~operator team1", "", "invalid_request"),
        ("grant member1 ~deployment", "", "invalid_request"),
        ("grant member1~a team1", "", "invalid_request"),
        ("users reset nobody@example.org", PASSWORD, "not_found"),
        ("users disable nobody@example.org", "", "not_found"),
        ("users take-factor nobody@example.org", "", "not_found"),
        ("users enable a/b", "", "not_found"),
        ("invites create a/b", "", "invalid_request"),
        ("invites create team1 --days 0", "", "invalid_request"),
        ("invites create team1 --days nan", "", "invalid_request"),
        ("invites create team1 --uses 501", "", "invalid_request"),
        ("keys drop nothing", "", "not_found"),
    ],
)
def test_what_cannot_be_done_is_said(run: Shell, words: str, given: str, code: str) -> None:
    assert run(words, given).startswith(f"1: {code}: ")


def test_a_user_is_made_once(run: Shell) -> None:
    run("users create a@example.org", PASSWORD)
    assert "email_taken" in run("users create A@example.org", PASSWORD)


def test_a_code_of_an_operator_admits(run: Shell) -> None:
    said = run("invites create team1 --role doctor --uses 3")
    code = said.split()[0]
    assert re.fullmatch(r"\w{6} admits 3 as doctor until \S+Z\n", said)
    made = wiring.accounts().registration.register(
        "d@example.org", PASSWORD, Origin("192.0.2.1"), wiring.clock_ms(), code=code
    )
    assert f"{made.user_id:<28} d@example.org" in run("users list")


def test_keys_are_rotated_listed_and_dropped(run: Shell) -> None:
    assert run("keys list") == "no keys\n"
    first = run("keys rotate").split()[0]
    assert re.search(rf"^{first} ES256 +signs +\S+Z -$", run("keys list"), re.M)
    second = run("keys rotate").split()[0]
    assert run("keys rotate").split()[0] == second  # may be repeated
    assert [line.split()[2] for line in run("keys list").splitlines()[1:]] == ["signs", "next"]
    assert "signs now" in run(f"keys drop {first}")
    assert run("keys rotate --now").split()[0] == second
    assert [line.split()[2] for line in run("keys list").splitlines()[1:]] == ["ending", "signs"]
    run(f"keys drop {first}")
    assert [line.split()[0] for line in run("keys list").splitlines()] == ["KID", second]
