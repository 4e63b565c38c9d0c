"""The table of ASVS 5.0.0 in docs/security.md: whole, and what it names is there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.tables import table
from tests.test_docs import ROOT, SECURITY

#: Section, level of each of its requirements in order (OWASP ASVS 5.0.0, the English CSV of its release).
_LEVELS = """\
1.1 22, 1.2 1111122223, 1.3 112222222223, 1.4 222, 1.5 123,
2.1 122, 2.2 112, 2.3 12223, 2.4 23,
3.1 3, 3.2 113, 3.3 12223, 3.4 11222233, 3.5 11122333, 3.6 3, 3.7 22333,
4.1 12233, 4.2 23333, 4.3 22, 4.4 1222,
5.1 2, 5.2 112333, 5.3 113, 5.4 222,
6.1 122, 6.2 111111112222, 6.3 11223333, 6.4 112233, 6.5 22222333, 6.6 2223, 6.7 33, 6.8 2222,
7.1 222, 7.2 1111, 7.3 22, 7.4 11222, 7.5 223, 7.6 22,
8.1 1233, 8.2 1123, 8.3 133, 8.4 23,
9.1 111, 9.2 1222,
10.1 22, 10.2 223, 10.3 22223, 10.4 1111122222233333, 10.5 22222, 10.6 22, 10.7 222,
11.1 2233, 11.2 22233, 11.3 11233, 11.4 1222, 11.5 23, 11.6 23, 11.7 33,
12.1 12233, 12.2 11, 12.3 22223,
13.1 2333, 13.2 222223, 13.3 2233, 13.4 1222233,
14.1 22, 14.2 12223333, 14.3 122,
15.1 12233, 15.2 12233, 15.3 1222222, 15.4 3333,
16.1 2, 16.2 22222, 16.3 2222, 16.4 222, 16.5 2223,
17.1 23, 17.2 22223333, 17.3 22
"""

LEVELS = dict(re.findall(r"([\d.]+) (\d+)", _LEVELS))

ROWS = table(SECURITY, "ASVS")
APART = table(SECURITY, "requirements")

#: A row whose files come with another branch names them like this.
COMING = "(merge: "


def ids(cell: str) -> Iterator[str]:
    """Requirements of a cell: `V1.2.3, V1.2.5–7`. Raises `AssertionError` if one is written otherwise."""
    for part in cell.split(", "):
        found = re.fullmatch(r"V(\d+\.\d+)\.(\d+)(?:–(\d+))?", part)
        assert found, f"{part!r} is no requirement"
        first, last = int(found[2]), int(found[3] or found[2])
        assert first <= last, part
        yield from (f"{found[1]}.{number}" for number in range(first, last + 1))


def test_the_levels_are_those_of_the_standard() -> None:
    count = Counter("".join(LEVELS.values()))
    assert count == {"1": 70, "2": 183, "3": 92}  # its own numbers


def test_every_requirement_of_levels_1_and_2_is_named_once_and_no_other() -> None:
    wanted = {
        f"{section}.{number}"
        for section, levels in LEVELS.items()
        for number, level in enumerate(levels, 1)
        if level < "3"
    }
    named = Counter(each for cell, *_ in (*ROWS, *APART) for each in ids(cell))
    assert named == Counter(wanted)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_what_is_there_and_says_what_is_missing(row: list[str]) -> None:
    _, about, met, missing = row
    assert about
    files = re.findall(r"`((?:docs|infra|shared|terraform|tests)/[\w./-]+|\w+\.toml)`", met)
    for name in files:
        assert (ROOT / name).exists(), name
    tested = [name for name in files if name.startswith("tests/")]
    if missing == "–":
        assert tested or COMING in met, "what is met is held by a test"
    else:
        assert len(missing.split()) >= 4, "what is missing is said in words"


@pytest.mark.parametrize("cell", ["1.2.3", "V1.2", "V1.2.3-5", "V1.2.5–3", "V1.2.3,V1.2.4"])
def test_a_requirement_is_written_in_the_form_of_the_standard(cell: str) -> None:
    with pytest.raises(AssertionError):
        list(ids(cell))
