"""PDFs as they come: written by a typesetter, by hand, and by somebody who means harm."""

from __future__ import annotations

import zlib
from pathlib import Path

_FACES = '("Noto Sans", "Noto Sans Devanagari")'


def typeset(text: str, folder: Path) -> bytes:
    """A PDF as programs write it: subset fonts, ligatures, words hyphenated at the ends of lines."""
    import typst

    from shared.export.letters import folders

    source = folder / "document.typ"
    source.write_text(
        "#set page(width: 6cm, height: 12cm, margin: 5mm)\n#set par(justify: true)\n"
        f'#set text(hyphenate: true, lang: "en", font: {_FACES})\n' + text
    )
    made = typst.compile(str(source), font_paths=folders())
    assert isinstance(made, bytes)
    return made


def by_hand(
    content: bytes = b"BT /F1 12 Tf 20 700 Td (Ferritin 1450) Tj ET",
    *,
    box: str = "0 0 595 842",
    pages: int = 1,
    packed: bool = False,
    trailer: str = "",
) -> bytes:
    """A PDF of pages that all have the same content. `trailer`: more of it."""
    pages_of = " ".join(["4 0 R"] * pages)
    filtered = "/Filter /FlateDecode " if packed else ""
    objects = [
        b"<</Type /Catalog /Pages 2 0 R>>",
        f"<</Type /Pages /Count {pages} /Kids [{pages_of}]>>".encode(),
        b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>",
        f"<</Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents 5 0 R "
        "/Resources <</Font <</F1 3 0 R>>>>>>".encode(),
        f"<<{filtered}/Length {len(content)}>>stream\n".encode() + content + b"\nendstream",
    ]
    made, places = b"%PDF-1.7\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(made))
        made += f"{number} 0 obj\n".encode() + each + b"\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    return (
        made
        + (
            f"xref\n0 {size}\n0000000000 65535 f \n{table}"
            f"trailer\n<</Size {size} /Root 1 0 R {trailer}>>\nstartxref\n{len(made)}\n%%EOF\n"
        ).encode()
    )


def bomb(blocks: int = 4_000) -> bytes:
    """A page whose content is 4 GB of blanks, of which each MiB is packed alike."""
    packer = zlib.compressobj(9)
    block = b" " * 2**20
    begin = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return by_hand(begin + again * blocks + packer.flush(), packed=True)


#: Encrypted by a password that nobody told (PDF 1.7, 7.6.3, revision 3).
_SECRET = "00" * 32
ENCRYPTED = by_hand(
    trailer=f"/Encrypt <</Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <{_SECRET}> /U <{_SECRET}>>> "
    f"/ID [<{_SECRET[:32]}> <{_SECRET[:32]}>]"
)
