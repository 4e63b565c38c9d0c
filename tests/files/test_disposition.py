"""Names of downloads: safe on every system, readable by every browser."""

from __future__ import annotations

import re
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.files.disposition import attachment, safe_name


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("wound.jpg", 'attachment; filename="wound.jpg"'),
        ("left arm (2).jpg", 'attachment; filename="left arm (2).jpg"'),
        ("घाव.jpg", "attachment; filename=\"___.jpg\"; filename*=UTF-8''%E0%A4%98%E0%A4%BE%E0%A4%B5.jpg"),
        ("100%.jpg", "attachment; filename=\"100_.jpg\"; filename*=UTF-8''100%25.jpg"),
        ('a"b\\c.jpg', 'attachment; filename="a_b_c.jpg"'),
        ("a\r\nSet-Cookie: x=1.jpg", 'attachment; filename="aSet-Cookie_ x=1.jpg"'),
        ("../../etc/passwd", 'attachment; filename="_.._etc_passwd"'),
        ("photo\u202egpj.exe", 'attachment; filename="photogpj.exe"'),
        (".bashrc", 'attachment; filename="bashrc"'),
        ("a.jpg. ", 'attachment; filename="a.jpg"'),
        ("", 'attachment; filename="file"'),
        (" . . ", 'attachment; filename="file"'),
        ("\ud800\x00", 'attachment; filename="file"'),
        ("x" * 300 + ".jpeg", f'attachment; filename="{"x" * 55}.jpeg"'),
        ("x." + "y" * 300, f'attachment; filename="x.{"y" * 58}"'),
    ],
)  # fmt: skip
def test_a_name_becomes_a_header(given_name: str, expected: str) -> None:
    assert attachment(given_name) == expected


@given(st.text() | st.text(alphabet='./\\"%\r\n\u202e\ud800é x'))
def test_no_name_leaves_its_place(name: str) -> None:
    header = attachment(name)
    # RFC 6266: a quoted string without escapes, and RFC 8187's characters
    assert re.fullmatch(
        r'attachment; filename="[ !#-\[\]-~]+"(; filename\*=UTF-8\'\'[A-Za-z0-9._~%-]+)?', header
    )
    said = Message()
    said["Content-Disposition"] = header
    kept = said.get_filename()
    assert kept is not None
    assert 0 < len(kept) <= 60
    assert len(kept.encode()) <= 255
    assert not set(kept) & set('/\\:*?"<>|\r\n\x00')
    assert kept[0] not in ". "
    assert kept[-1] not in ". "
    assert safe_name(safe_name(name)) == safe_name(name)
