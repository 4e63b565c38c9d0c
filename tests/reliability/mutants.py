"""Whether more changed lines went unnoticed than before: the last step of `make mutants`.

    mutmut results --all true | python -m tests.reliability.mutants

The table in README.md beside this file holds, for each module, how many changes were made and how many
no test noticed. A module that has more of those fails the run; one that has fewer asks for a new number.
What was not run does not count: `make mutants MUTANTS='shared.sync.conflict.*'` is about one module.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

_TABLE = Path(__file__).with_name("README.md")

_ROW = re.compile(r"^\| `(shared\.[\w.]+)` \| (\d+) \| (\d+) \|", re.MULTILINE)

_RESULT = re.compile(r"^ *(shared(?:\.\w+)+)\.x\S+: (.+?)\s*$")

#: Of mutmut's words, those for a change that tests met and did not notice, or did not meet.
_UNNOTICED = ("survived", "no tests")


def accepted(text: str) -> dict[str, int]:
    """Most unnoticed changes of each module, by the table."""
    return {module: int(unnoticed) for module, _made, unnoticed in _ROW.findall(text)}


def counted(lines: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Changes made and changes unnoticed, for each module of mutmut's results."""
    made: Counter[str] = Counter()
    unnoticed: Counter[str] = Counter()
    for line in lines:
        if (found := _RESULT.match(line)) is not None and found[2] != "not checked":
            made[found[1]] += 1
            unnoticed[found[1]] += found[2] in _UNNOTICED
    return {module: (made[module], unnoticed[module]) for module in made}


def main(lines: Iterable[str], table: str) -> int:
    """Print the table's rows as they would be now; 1 if one of them got worse, or nothing was run."""
    most, now = accepted(table), counted(lines)
    for module, (made, unnoticed) in sorted(now.items()):
        worse = "" if unnoticed <= most.get(module, unnoticed) else f"  more than {most[module]}"
        print(f"| `{module}` | {made} | {unnoticed} |{worse}")
    return int(not now or any(each > most.get(name, each) for name, (_, each) in now.items()))


if __name__ == "__main__":
    sys.exit(main(sys.stdin, _TABLE.read_text("utf-8")))
