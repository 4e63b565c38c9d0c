"""Every command is run for real, on both stores: in an order in which each finds something to do."""

from __future__ import annotations

import io
import json
import re
import shlex
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import jwt
import pytest

from infra.cli import hooks
from infra.cli.command import OperatorCommand
from infra.cli.root import SECTIONS, cli, main
from infra.local.stack import PROFILES
from shared import wiring
from shared.access import audit
from shared.adapters.file_keys import FileKeys
from shared.products.dermadetect.product import DERMADETECT
from shared.products.product import Product
from tests.api.conftest import Api, StartApi, start_api
from tests.neutral.product import NOTEBOOKS
from tests.stores import BOTH

__all__ = ["start_api"]

#: A patient's name: nothing may print it, as a value or as an id that is none.
SECRET = "Asha-of-Kito"

PASSWORD = "correct horse battery"

#: Commands in order, what each must print, and whether it prints a list.
STEPS: tuple[tuple[str, str, bool], ...] = (
    ("keys rotate", r"^\S+ signs from \S+Z$", False),
    ("keys list", r"^\S+ ES256 +signs +\S+Z \S+Z$", True),
    ("keys rotate --now", r"^\S+ signs from \S+Z$", False),
    ("keys drop KID", "is forgotten", False),
    ("grant binta team2 --role supervisor", "^binta is supervisor in team2$", False),
    ("members team1", r"^amina +chw +\S+Z$", True),
    ("scopes", r"^team2 +1  - +supervisor:1$", True),
    ("users create d@example.org --id dora --scope team1 --role doctor", "^made dora$", False),
    ("users list", r"^dora +d@example.org +active +team1:doctor$", True),
    ("users reset d@example.org", "^reset dora; all its sessions are over$", False),
    ("users disable dora", "^dora is disabled", False),
    ("users enable dora", "^dora may log in again$", False),
    ("users take-factor dora", "^dora logs in by password alone", False),
    ("users delete dora", "^dora is deleted", False),
    ("invites create team1 --role doctor --uses 3", r"^\w{6} admits 3 as doctor until \S+Z$", False),
    ("invites list team1", r"^\w{40} doctor +3  \S+Z +~operator$", True),
    ("hooks add team1 https://his.example.org/in", r"^hook_\w{24} whsec_\S{44}$", False),
    ("hooks list team1", r"^hook_\w{24} +good +case.red,analysis.ready,\S+ https://his", True),
    ("hooks test team1 HOOK", r"^msg_\w{32} is on its way$", False),
    ("hooks deliveries team1 HOOK", r"^\S+Z waiting +0 - +hooks.test +msg_\w{32}$", True),
    ("hooks rotate team1 HOOK", r"^whsec_\S{44}$", False),
    ("hooks redeliver team1 HOOK --days 1", r"^\d events are sent again$", False),
    ("hooks enable team1 HOOK", r"^hook_\w{24} is enabled$", False),
    ("hooks remove team1 HOOK", r"^hook_\w{24} is removed$", False),
    ("devices team1", r"^amina +phone +0  could not deliver 1 records: \w+$", True),
    ("devices team1 --failing", "^amina +phone ", True),
    ("inbox team1", r"^cases +- +\w+ +amina +\S+$", True),
    ("jobs list", r"^queued +analyse +0 - +\S+$", True),
    ("jobs list --state parked", "^no jobs$", True),
    ("jobs redrive", "^0 jobs queued again$", False),
    ("seed --scope demo", "^seeded demo: demo-chw-1, demo-chw-2, demo-doctor$", False),
    ("records move patients demo-patient-1 team2", "^patients/demo-patient-1 is in team2$", False),
    ("records undelete patients gone", "^patients/gone is back$", False),
    ("audit tail team1", r"^\S+Z  push +amina +- +cases:1 patients:2  -$", True),
    ("audit tail", r"^\S+Z  delete-user +~operator +Olive +-  of:dora$", True),
    ("audit heads", '^{"scope": "team1", "number": 3, "hash": "[0-9a-f]{64}"}$', False),
    ("audit verify", r"^team1 +3 +\d+$", True),
    ("audit verify team1", r"^team1 +3 +\d+$", True),
    ("export p1 --to FOLDER/p1.json", r"p1\.json: records", False),
    ("records export team1 demo --to FOLDER/rows --table patients", "^5 patients$", False),
    ("records export demo --to FOLDER/a --format ndjson --until 2026-03-02", "^2 patients, 2 cases", False),
    ("records fhir demo --to FOLDER/fhir", r"2 Patient, \d+ Practitioner", False),
    ("records fhir --of demo-patient-2 --to FOLDER/one.json", r"^\d records$", False),
    ("backup export FOLDER/copy", r"^\d+ documents written$", False),
    ("backup import FOLDER/copy --over", r"^\d+ documents put back$", False),
    ("epoch", "^a new epoch has begun$", False),
    ("migrate list", r"^restamp-cases +at the beginning +0  every record", True),
    ("migrate run restamp-cases --dry-run", "^4 documents would change: c1, ", False),
    ("migrate run restamp-cases --pause 0", "^done in 1 passes$", False),
    ("erase p1", r"^erased p1: .*\d records$", False),
    ("revoke amina team1", "^amina is no longer in team1$", False),
    ("token --chw binta --scope team2", r"^[\w-]+\.[\w-]+\.[\w-]+$", False),
)  # fmt: skip

#: Of one machine alone: see test_outside.py and tests/export/test_views.py.
ELSEWHERE = {
    *(("run",), ("records", "views")),
    *(("backup", word) for word in ("key", "create", "check", "restore")),
}


Leaf = tuple[tuple[str, ...], click.Command]


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Every command that does something, with the words that lead to it."""
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from leaves(each, (*path, name))
    else:
        yield path, command


LEAVES = dict(leaves(cli))


def push(api: Api) -> None:
    """Amina's phone sends a patient with a red case, one that she deletes, and a case whose id is none."""
    token = api.token("amina", device="phone")

    def sync(**changes: object) -> None:
        body = {"last_sync_timestamp": 0, "device_id": "phone", "changes": changes}
        assert api.ask("POST", "/api/sync", body, token=token).status_code == 200

    named = {"demographics": {"name": SECRET}, "last_modified_at": 1000}
    red = {"patient_id": "p1", "risk_level": "red", "triage_data": {}, "last_modified_at": 1000}
    sync(patients=[{"id": "gone", **named}])
    sync(
        patients=[
            {"id": "gone", "deleted": True, "sync_status": "deleted", "last_modified_at": 2000}
        ]
    )
    audit.Sealer(wiring.store()).seal(wiring.clock_ms())
    sync(
        patients=[{"id": "p1", **named}, {"id": "p2", **named}],
        cases=[{"id": "c1", **red}, {"id": SECRET + " 2", **red}],
    )  # fmt: skip


@pytest.fixture(params=BOTH)
def api(request: pytest.FixtureRequest, start_api: StartApi) -> Api:
    chosen: dict[str, object] = {"operator": "Olive"}
    if request.param == "firestore":
        request.getfixturevalue("firestore_emulator")
        chosen |= {"record_store": "firestore"}
        chosen |= {"google_cloud_project": f"test-{uuid.uuid4().hex[:12]}"}
    made = start_api(**chosen)
    made.join("amina")
    return made


def test_every_command_does_what_it_says_and_prints_nothing_of_patients(
    api: Api,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()

    kid = FileKeys(api.folder / "keys").current().kid

    def run(words: Sequence[str]) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
        hook = next((each["id"] for each in hooks.endpoints("team1")), "")
        meant = {"FOLDER": str(folder), "KID": kid, "HOOK": hook}
        code = main([re.sub("|".join(meant), lambda m: meant[m[0]], word) for word in words])
        out, err = capsys.readouterr()
        assert code == 0, (words, out, err)
        assert SECRET not in out + err, words
        return out

    run_already = set()
    push(api)
    capsys.readouterr()
    for line, expected, listed in STEPS:
        words = shlex.split(line)
        run_already |= {path for path in LEAVES if tuple(words[: len(path)]) == path}
        out = run(words)
        assert re.search(expected, out, re.M), (line, out)
        if listed:
            rows = json.loads(run([*words, "--json"]))
            heading, *shown = out.splitlines()
            assert len(rows) == len(shown), line
            assert heading == heading.upper() or not rows, line
            if rows:  # the first column's name stands above the first column
                assert heading.split()[0] == next(iter(rows[0])).upper(), line
    assert run_already == set(LEAVES) - ELSEWHERE
    assert SECRET in (folder / "rows" / "patients.csv").read_text()
    assert SECRET in (folder / "copy").read_text()  # it was there to be printed


def test_every_command_stands_under_a_heading_and_shows_an_example_of_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for heading, commands in SECTIONS.items():
        assert f"{heading}:\n" in said
        assert all(re.search(rf"^  {each.name} ", said, re.M) for each in commands)
    monkeypatch.setattr(OperatorCommand, "invoke", lambda *_: None)
    for path, command in LEAVES.items():
        assert main([*path, "--help"]) == 0
        said = capsys.readouterr().out
        assert isinstance(command, OperatorCommand)
        assert said.endswith(f"Example:\n  {command.example}\n")
        program, _, rest = command.example.partition(" infra.cli ")
        words = shlex.split(rest.partition(" > ")[0])
        assert (program, main(words)) == ("python -m", 0)
        named = [word for word in words if word not in ("--data", ".data")]
        assert tuple(named[: len(path)]) == path


#: How a person, their table and newcomers are called: by products, and where none is known.
WORDS: tuple[tuple[Product | None, str, str, str], ...] = (
    (DERMADETECT, "patient", "patients", "chw"),
    (NOTEBOOKS, "owner", "notebooks", "member"),
    (None, "person", "people", "member"),
)


@pytest.mark.parametrize(("product", "person", "people", "role"), WORDS)
def test_help_speaks_in_the_words_of_the_product(
    start_api: StartApi,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    product: Product | None,
    person: str,
    people: str,
    role: str,
) -> None:
    if product is None:
        monkeypatch.setenv("PRODUCT", "misspelt")
    else:
        start_api(product)

    def said(line: str, code: int = 0) -> str:
        assert main(line.split()) == code
        return " ".join("".join(capsys.readouterr()).split())

    assert f"erase [OPTIONS] {person.upper()} Remove the data of {person.upper()}, and" in said(
        "erase --help"
    )
    assert f"Remove the data of {person.upper()}, and" in said("--help")
    assert said("erase", 2).endswith(f"Error: Missing argument '{person.upper()}'.")
    assert f"stored about a {person} or a user" in said("export --help")
    assert said("records move --help").endswith(f"records move {people} {person}-1 kito-team")
    assert said("grant --help").endswith(f"grant amina kito-team --role {role}")


def test_a_token_is_asked_for_by_either_name(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--user", "--chw"):
        assert main(["token", option, "amina"]) == 0
        token = capsys.readouterr().out.strip()
        assert jwt.decode(token, options={"verify_signature": False})["chw_id"] == "amina"


def test_lists_and_only_lists_are_printed_as_json() -> None:
    lists = {path for path, each in LEAVES.items() if "as_json" in {p.name for p in each.params}}
    by_steps = {p for p in LEAVES for line, _, listed in STEPS
                if listed and tuple(line.split()[: len(p)]) == p}  # fmt: skip
    assert lists == by_steps


def test_the_profiles_of_run_are_those_of_the_stack() -> None:
    [profile] = [each for each in LEAVES["run",].params if each.name == "profile"]
    assert isinstance(profile.type, click.Choice)
    assert set(profile.type.choices) == set(PROFILES)
