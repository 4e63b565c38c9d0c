"""`python -m infra.ci.leaks`: looks for keys and passwords in the files of the project.

Exit code 1 if one is found. It knows the forms that do most harm and are told from text with
certainty; it does not guess at random-looking strings, which would find hashes and test data. A line
that must look like a key says so: `leaks: none`, with its reason.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

#: What a line says that is looked at and found harmless.
HARMLESS = "leaks: none"

#: form → pattern
FORMS = {
    "private key": re.compile(
        r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*(?:\\n|\n)?[A-Za-z0-9+/]{16}"
    ),
    "private key as JWK": re.compile(r'"d"\s*:\s*"[A-Za-z0-9_-]{40,}"'),
    "key file of a service account": re.compile(r'"private_key_id"\s*:\s*"[0-9a-f]{20,}"'),
    "Google API key": re.compile(r"\bAIza[A-Za-z0-9_-]{35}\b"),
    "Google OAuth secret": re.compile(r"\bGOCSPX-[A-Za-z0-9_-]{20,}"),
    "Google access token": re.compile(r"\bya29\.[A-Za-z0-9_-]{30,}"),
    "GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})"),
    "Slack token": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{20,}"),
    "AWS key": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "password in a URL": re.compile(r"\b[a-z][a-z+]{2,10}://[^\s/:@\"'{}$]+:[^\s/:@\"'{}$]{6,}@"),
}

#: Bigger files are no text that somebody wrote.
_MOST_BYTES = 2**21


def files() -> list[Path]:
    """What belongs to the project: tracked, or about to be. All files of an unpacked archive."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        hidden = {".venv", ".git", ".data", ".build", "__pycache__"}
        return [path for path in REPOSITORY.rglob("*") if not hidden & set(path.parts)]
    return [REPOSITORY / name for name in listed.stdout.split("\0") if name]


def leaks(text: str) -> Iterator[tuple[int, str]]:
    """Line numbers and forms of what looks like a key. What was found is not repeated."""
    lines = text.splitlines()
    for form, pattern in FORMS.items():
        for match in pattern.finditer(text):
            number = text.count("\n", 0, match.start()) + 1
            if HARMLESS not in lines[number - 1]:
                yield number, form


def main() -> int:
    """Look at every file, print where something was found."""
    found = 0
    for path in files():
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            continue
        for number, form in leaks(path.read_bytes().decode("utf-8", "replace")):
            print(f"{path.relative_to(REPOSITORY)}:{number}: {form}")
            found += 1
    if found:
        print("A key that was ever committed is known: renew it (infra/runbooks/key-rotation.md).")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
