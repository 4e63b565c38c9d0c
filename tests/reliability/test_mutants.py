"""`make mutants` fails when more changes go unnoticed than its table accepts, and when none was made."""

from __future__ import annotations

import pytest

from tests.reliability.mutants import main

TABLE = "| `shared.sync.conflict` | 9 | 1 |\n"
KILLED = "    shared.sync.conflict.x_merge__mutmut_1: killed\n"
SURVIVED = "    shared.sync.conflict.x_merge__mutmut_{}: survived\n"
NO_TESTS = "    shared.sync.conflict.x_fold__mutmut_1: no tests\n"
NOT_RUN = "    shared.sync.push.x_settle__mutmut_1: not checked\n"


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ([KILLED, SURVIVED.format(2), NOT_RUN], 0, "| `shared.sync.conflict` | 2 | 1 |\n"),
        ([KILLED], 0, "| `shared.sync.conflict` | 1 | 0 |\n"),
        (
            [SURVIVED.format(2), SURVIVED.format(3)],
            1,
            "| `shared.sync.conflict` | 2 | 2 |  more than 1\n",
        ),
        ([SURVIVED.format(2), NO_TESTS], 1, "| `shared.sync.conflict` | 2 | 2 |  more than 1\n"),
        ([NOT_RUN, "no such line"], 1, ""),
        ([], 1, ""),
    ],
)
def test_more_unnoticed_changes_than_accepted_fail(
    lines: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(lines, TABLE) == code
    assert capsys.readouterr().out == said
