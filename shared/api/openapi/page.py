"""An OpenAPI document as one HTML page: no scripts, no fonts, nothing from elsewhere.

Server-side and small on purpose: it knows the parts of OpenAPI 3.1 and JSON Schema that
`shared.api.openapi.document` writes, reads well on a phone, and works without a network once it is loaded.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Any

Schema = dict[str, Any]


def page(openapi_json: bytes) -> str:
    """A document as one HTML page: no scripts, no fonts, nothing from elsewhere."""
    said = json.loads(openapi_json)
    info = said["info"]
    operations = [
        (path, method, operation)
        for path, methods in said["paths"].items()
        for method, operation in methods.items()
    ]
    parts = [
        f"<header><h1>{_text(info['title'])}</h1>",
        f"<p class=lead>{_text(info['summary'])} Version {_text(info['version'])}. "
        '<a href="openapi.json">openapi.json</a></p></header>',
        f"<nav aria-label=Contents>{_contents(operations, said)}</nav><main>",
        f"<section>{_prose(info['description'])}</section>",
    ]
    for tag in said["tags"]:
        parts.append(f"<h2>{_text(tag['name'].capitalize())}</h2>{_prose(tag['description'])}")
        parts += [
            _operation_part(path, method, operation, said)
            for path, method, operation in operations
            if tag["name"] in operation["tags"]
        ]
    parts.append("<h2 id=schemas>Schemas</h2>")
    for name, schema in said["components"]["schemas"].items():
        parts.append(
            f'<section class=card id="schema-{_text(name)}"><h3>{_text(name)}</h3>'
            f"{_shape(schema)}</section>"
        )
    return _FRAME.format(title=_text(info["title"]), style=_STYLE, body="\n".join(parts))


def _text(value: object) -> str:
    return html.escape(str(value))


def _prose(text: str) -> str:
    """The Markdown that our descriptions use: paragraphs, lists, `code` and **bold**."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.split("\n")
        for mark, tag in ((r"- ", "ul"), (r"\d+\. ", "ol")):
            if all(re.match(mark, line) for line in lines):
                items = "".join(f"<li>{_inline(re.sub(mark, '', line, count=1))}" for line in lines)
                found.append(f"<{tag}>{items}</{tag}>")
                break
        else:
            found.append(f"<p>{_inline(' '.join(lines))}</p>")
    return "".join(found)


def _inline(text: str) -> str:
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(text))
    return re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)


def _contents(operations: Iterable[tuple[str, str, Schema]], said: Schema) -> str:
    found = [
        f'<li><a href="#op-{_text(operation["operationId"])}">'
        f"<b class={_text(method)}>{_text(method.upper())}</b> <code>{_text(path)}</code></a>"
        for path, method, operation in operations
    ]
    names = " ".join(
        f'<a href="#schema-{_text(name)}">{_text(name)}</a>'
        for name in said["components"]["schemas"]
    )
    return f"<ul>{''.join(found)}</ul><details><summary>Schemas</summary><p>{names}</p></details>"


def _operation_part(path: str, method: str, operation: Schema, said: Schema) -> str:
    token = "" if operation.get("security") == [] else "<span class=need>bearer token</span>"
    parts = [
        f'<section class=card id="op-{_text(operation["operationId"])}">',
        f"<h3><b class={_text(method)}>{_text(method.upper())}</b> <code>{_text(path)}</code>"
        f" {token}</h3>",
        f"<p class=lead>{_inline(operation['summary'])}</p>{_prose(operation['description'])}",
    ]
    parameters = [_resolved(item, said) for item in operation["parameters"]]
    for place, title in (("path", "Path"), ("query", "Query"), ("header", "Headers")):
        listed = [item for item in parameters if item["in"] == place]
        if listed:
            items = "".join(_field(item["name"], item, "", item["schema"]) for item in listed)
            parts.append(f"<h4>{title}</h4><ul class=fields>{items}</ul>")
    if "requestBody" in operation:
        parts.append(f"<h4>Body</h4>{_content(operation['requestBody']['content'])}")
    for status, answer in operation["responses"].items():
        kind = "good" if status < "400" else "bad"
        parts.append(f"<h4><b class={kind}>{_text(status)}</b></h4>{_prose(answer['description'])}")
        names = [name for name in answer["headers"] if name != "X-Request-Id"]
        if names:
            words = ", ".join(f"<code>{_text(name)}</code>" for name in names)
            parts.append(f"<p class=kind>Headers: {words}</p>")
        if status == "200":
            parts.append(_content(answer["content"]))
    return "".join(parts) + "</section>"


def _resolved(item: Schema, said: Schema) -> Schema:
    if "$ref" not in item:
        return item
    found: Any = said
    for step in item["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)


def _content(content: Schema) -> str:
    parts = []
    for kind, media in content.items():
        schema = media["schema"]
        shape = "" if "$ref" in schema else _shape(schema)
        parts.append(f"<p class=kind>{_text(kind)}: {_kind(schema)}</p>{shape}")
        for example in media.get("examples", {}).values():
            value = json.dumps(example["value"], indent=2, ensure_ascii=False)
            parts.append(
                f"<details><summary>Example: {_inline(example['summary'])}</summary>"
                f"<pre>{_text(value)}</pre></details>"
            )
    return "".join(parts)


def _shape(schema: Schema) -> str:
    """A schema's description and its fields, nested."""
    inner = schema.get("items", schema) if schema.get("type") == "array" else schema
    said = _prose(schema["description"]) if "description" in schema else ""
    fields = _fields(inner)
    return said + (fields or f"<p class=kind>{_kind(schema)}</p>")


def _fields(schema: Schema) -> str:
    properties = schema.get("properties", {})
    if not properties:
        return ""
    required = schema.get("required", [])
    everything = set(required) == set(properties)
    items = "".join(
        _field(
            name,
            item,
            "<span class=need>required</span>" if name in required and not everything else "",
            item,
        )
        for name, item in properties.items()
    )
    note = "<p class=kind>Every field is always there.</p>" if everything else ""
    return f"{note}<ul class=fields>{items}</ul>"


def _field(name: str, said: Schema, need: str, schema: Schema) -> str:
    text = _prose(said["description"]) if "description" in said else ""
    inner = schema.get("items", {}) if "items" in schema else schema
    return (
        f"<li><code>{_text(name)}</code> {need} <span class=kind>{_kind(schema)}</span>"
        f"{text}{_fields(inner)}"
    )


_WORDS = {
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
}


def _kind(schema: Schema) -> str:
    """What a value is, in a few words."""
    if "$ref" in schema:
        name = _text(schema["$ref"].split("/")[3])  # a part of a schema is shown with its whole
        return f'<a href="#schema-{name}">{name}</a>'
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(_kind(item) for item in schema[word])
    if "const" in schema:
        return f"<code>{_text(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        return "one of " + ", ".join(
            f"<code>{_text('null' if word is None else word)}</code>" for word in schema["enum"]
        )
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(_typed(kind, schema) for kind in kinds) or "anything"


def _typed(kind: str, schema: Schema) -> str:
    if kind == "array":
        most = f" of at most {schema['maxItems']}" if "maxItems" in schema else ""
        return f"list{most}: {_kind(schema['items'])}" if "items" in schema else f"list{most}"
    limits = []
    if kind == "string" and "maxLength" in schema:
        limits.append(f"at most {schema['maxLength']} characters")
    if kind == "string" and "pattern" in schema:
        limits.append(f"<code>{_text(schema['pattern'])}</code>")
    if kind in ("number", "integer"):
        words = (("minimum", "from"), ("maximum", "to"), ("exclusiveMaximum", "below"))
        limits += [f"{word} {schema[name]}" for name, word in words if name in schema]
    return _WORDS[kind] + (f" ({', '.join(limits)})" if limits else "")


_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #566173; --paper: #fff; --card: #f6f8fa;
  --line: #d8dee6; --link: #0b57b7; --get: #0b6e4f; --post: #8a3ffc; --bad: #a4262c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #a3aec0; --paper: #12161c;
  --card: #1a2029; --line: #313a47; --link: #7ab7ff; --get: #5fd3a8; --post: #c8a6ff;
  --bad: #ff9a9a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 52rem; padding: 1rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1rem 0 .25rem; }
h2 { margin: 2.5rem 0 .25rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { margin: 0 0 .5rem; font-size: 1.1rem; } h4 { margin: 1.5rem 0 .25rem; }
p, ul, ol { margin: .4rem 0; } ul, ol { padding-left: 1.4rem; }
a { color: var(--link); } .lead { color: var(--soft); }
code, pre { font: .88em/1.5 ui-monospace, Menlo, Consolas, monospace; }
code { background: color-mix(in srgb, var(--line) 45%, transparent); border-radius: 3px;
  padding: .1em .3em; }
pre { overflow-x: auto; overflow-wrap: normal; padding: .75rem; border: 1px solid var(--line);
  border-radius: 6px; background: var(--paper); }
.card { margin: 1rem 0; padding: 1rem; border: 1px solid var(--line); border-radius: 8px;
  background: var(--card); scroll-margin-top: 1rem; }
nav ul { list-style: none; padding: 0; } nav li { padding: .2rem 0; }
.get, .good { color: var(--get); } .post { color: var(--post); } .bad { color: var(--bad); }
.fields { list-style: none; padding-left: 0; }
.fields > li { padding: .5rem 0; border-top: 1px solid var(--line); }
.fields .fields { margin-left: .4rem; padding-left: .8rem; border-left: 2px solid var(--line); }
.kind { color: var(--soft); font-size: .92em; }
.need { color: var(--bad); font-size: .8em; border: 1px solid; border-radius: 3px;
  padding: 0 .35em; white-space: nowrap; font-weight: normal; }
summary { cursor: pointer; padding: .3rem 0; }
"""

_FRAME = """<!doctype html>
<html lang=en>
<head>
<meta charset=utf-8>
<meta name=viewport content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</main>
</body>
</html>
"""
