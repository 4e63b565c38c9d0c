"""Photos for the demo and the tests: generated ones, and a phone's way of sending them.

The sender is what the mobile guide asks of an app, in its simplest form: go on where the server says,
until it says that all is there. It shares no code with the server.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import random
import time
from urllib.parse import urlsplit

from infra.local.phone import Json, ServerRefused

#: After a break the server needs a moment to keep what had come: when to ask how far it is, seconds.
_PAUSES_SECONDS = (0.2, 0.5, 1.5)

#: Answers that ask to come again.
_LATER = (429, 500, 502, 503, 504)


def generated(seed: int, size: tuple[int, int] = (1600, 1200)) -> bytes:
    """A JPEG of a dark spot on textured skin with a camera's data in it; another one for each seed."""
    from PIL import Image, ImageDraw, ImageFilter

    dice = random.Random(seed)  # noqa: S311  a picture, not a secret
    red = dice.randrange(90, 220)
    tone = (red, int(red * 0.78), int(red * 0.66))
    skin = Image.effect_noise(size, 48).convert("RGB")
    skin = Image.blend(skin, Image.new("RGB", size, tone), 0.5)
    mask = Image.new("L", size, 0)
    width, height = size
    ImageDraw.Draw(mask).ellipse((width * 0.36, height * 0.32, width * 0.64, height * 0.68), 230)
    mask = mask.filter(ImageFilter.GaussianBlur(2))
    rough = Image.effect_noise(size, 90).convert("RGB")
    spot = Image.blend(rough, Image.new("RGB", size, (red // 3, red // 8, red // 8)), 0.7)
    skin.paste(spot, (0, 0), mask)
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    exif[0x8825] = {1: "S", 2: (4.0, 2.0, 59.0)}  # where it was taken: must not get out
    out = io.BytesIO()
    skin.save(out, "JPEG", quality=88, exif=exif)
    return out.getvalue()


def announced(table: str, record_id: str, key: str, data: bytes) -> Json:
    """What a phone says of a photo that it has."""
    return {
        "table": table,
        "record_id": record_id,
        "key": key,
        "type": "image/jpeg",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def send(
    url: str, token: str, ticket: Json, data: bytes, *, breaks_every: int | None = None
) -> tuple[Json, int]:
    """Send a photo by its ticket; what became of it, and how many bytes were sent in all.

    `breaks_every`: the connection breaks after so many bytes, again and again. Raises `ServerRefused`.
    """
    path, offset, sent = ticket["upload"]["url"], ticket["upload"]["offset"], 0
    while True:
        rest = data[offset:]
        cut = None if breaks_every is None or breaks_every >= len(rest) else breaks_every
        span = f"bytes {offset}-{len(data) - 1}/{len(data)}" if rest else f"bytes */{len(data)}"
        answer = _put(url, token, path, span, rest, cut)
        sent += len(rest) if cut is None else cut
        for pause in _PAUSES_SECONDS:
            if answer is not None and answer[1].get("upload", {}).get("offset") != offset:
                break
            time.sleep(pause)
            answer = _put(url, token, path, f"bytes */{len(data)}", b"", None)
        if answer is None:
            continue
        status, value = answer
        if status == 200:
            return value, sent
        if status != 308:
            raise ServerRefused(status, value.get("error", {}), None)
        offset = value["upload"]["offset"]


def look(url: str, token: str, file_id: str) -> Json:
    """What became of a photo. Raises `ServerRefused`."""
    connection = _connection(url)
    try:
        headers = {"Authorization": f"Bearer {token}"}
        connection.request("GET", f"/api/v1/files/{file_id}", headers=headers)
        response = connection.getresponse()
        value: Json = json.loads(response.read())
    finally:
        connection.close()
    if response.status != 200:
        raise ServerRefused(response.status, value.get("error", {}), None)
    return value


def fetch(url: str, link: str) -> bytes:
    """What a link of a photo leads to, if it is one of the server's own."""
    connection = _connection(url if link.startswith("/") else link)
    try:
        parts = urlsplit(link)
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        response = connection.getresponse()
        data = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise ServerRefused(response.status, {"code": "link"}, None)
    return data


def _put(
    url: str, token: str, path: str, span: str, body: bytes, cut: int | None
) -> tuple[int, Json] | None:
    """One request; None if the connection broke, or the server asks to come again."""
    connection = _connection(url)
    try:
        connection.putrequest("PUT", path)
        connection.putheader("Authorization", f"Bearer {token}")
        connection.putheader("Content-Range", span)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        connection.send(body if cut is None else body[:cut])
        if cut is not None:
            return None
        response = connection.getresponse()
        value: Json = json.loads(response.read())
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return None if response.status in _LATER else (response.status, value)


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=60)
