"""The interface on a few pages: every route with its parameters, and every record with its fields.

``python tests/api_shapes.py`` writes them anew; the difference is what clients will notice.
"""

import tempfile
from pathlib import Path

from litestar.testing import TestClient

from service.api.app import create_app
from service.api.resources import make_resources
from service.cli.resources import opened

SHAPES = Path(__file__).with_name("api_shapes.txt")
LIMITS = ("format", "pattern", "minimum", "exclusiveMinimum", "maximum", "minLength", "maxLength", "default")
JSON_ERROR = "application/problem+json"


def document():
    """The OpenAPI document as it is served."""
    with (
        tempfile.TemporaryDirectory() as folder,
        opened(Path(folder) / "store", create=True) as (store, settings),
    ):
        app = create_app(make_resources(store, settings), open_to_all=True)
        with TestClient(app, raise_server_exceptions=True) as client:
            return client.get("/schema/openapi.json").json()


def shapes(found):
    """Lines that say everything a client relies on."""
    for path, operations in sorted(found["paths"].items()):
        for method, operation in sorted(operations.items()):
            yield f"{method.upper()} {path}"
            for each in sorted(operation.get("parameters", ()), key=lambda each: (each["in"], each["name"])):
                mark = "" if each.get("required") else "?"
                yield f"  {each['in']} {each['name']}{mark}: {kind(each['schema'])}"
            for media, content in operation.get("requestBody", {}).get("content", {}).items():
                yield f"  body {media}: {kind(content['schema'])}"
            for status, answer in sorted(operation["responses"].items()):
                contents = answer.get("content", {}).items()
                said = [f"{media}: {kind(content.get('schema', {}))}" for media, content in contents]
                if JSON_ERROR not in answer.get("content", {}):
                    yield f"  {status} {' or '.join(said)}".rstrip()
    for name, schema in sorted(found["components"]["schemas"].items()):
        yield name
        required = schema.get("required", ())
        for field, inner in schema.get("properties", {}).items():
            yield f"  {field}{'' if field in required else '?'}: {kind(inner)}"


def kind(schema):
    """A schema in one line."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if options := schema.get("oneOf") or schema.get("anyOf"):
        return " | ".join(sorted(map(kind, options)))
    if "enum" in schema:
        return " | ".join(map(repr, schema["enum"]))
    if "const" in schema:
        return repr(schema["const"])
    name = schema.get("type", "anything")
    if name == "array":
        name = f"[{kind(schema.get('items', {}))}]"
    elif name == "object" and isinstance(schema.get("additionalProperties"), dict):
        name = f"{{{kind(schema['additionalProperties'])}}}"
    elif name == "object" and "properties" in schema:
        fields = (f"{field}: {kind(inner)}" for field, inner in schema["properties"].items())
        name = f"{{{', '.join(fields)}}}"
    said = [f"{limit} {schema[limit]}" for limit in LIMITS if limit in schema]
    return f"{name} ({', '.join(said)})" if said else str(name)


if __name__ == "__main__":
    SHAPES.write_text("\n".join(shapes(document())) + "\n", encoding="utf-8")
