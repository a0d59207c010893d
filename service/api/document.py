"""The OpenAPI document, with an example of every answer: recorded from a running service, not made up."""

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litestar import Request
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, OpenAPIType, Reference, Schema, SecurityScheme
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

if TYPE_CHECKING:
    from litestar._openapi.schema_generation import SchemaCreator

EXAMPLES = Path(__file__).with_name("examples.json")


class DocumentWithExamples(JsonRenderPlugin):
    """Renders the document as JSON, its operations with the recorded requests and answers."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document with its examples."""
        recorded: dict[str, Any] = json.loads(EXAMPLES.read_text(encoding="utf-8"))
        for path, operations in openapi_schema["paths"].items():
            for method, operation in operations.items():
                _illustrate(operation, recorded.get(f"{method.upper()} {path}", {}))
        return super().render(request, openapi_schema)


class DecimalsAreNumbers(OpenAPISchemaPlugin):
    """Documents exact amounts as the numbers that clients send, not as strings."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        """Whether a field is an exact amount."""
        return value is Decimal

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: "SchemaCreator") -> Schema:  # noqa: ARG002
        """Return the schema of a number."""
        return Schema(type=OpenAPIType.NUMBER)


def _illustrate(operation: dict[str, Any], example: dict[str, Any]) -> None:
    """Put a recorded request and its answer into an operation, as far as it has a place for them."""
    if "request" in example and "requestBody" in operation:
        for content in operation["requestBody"]["content"].values():
            content["example"] = example["request"]
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in example.get("parameters", {}):
            parameter["example"] = example["parameters"][parameter["name"]]
    if "answer" in example:
        answers = operation["responses"][str(example["status"])].get("content", {})
        if example["type"] in answers:
            answers[example["type"]]["example"] = example["answer"]


def openapi() -> OpenAPIConfig:
    """Return how the document is made and where it is served."""
    schemes: dict[str, SecurityScheme | Reference] = {
        "ApiKey": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header"),
        "Bearer": SecurityScheme(type="http", scheme="bearer"),
    }
    return OpenAPIConfig(
        title="ridgeline",
        version="1",
        description="Portfolio analytics composed from a nightly symbol layer",
        components=Components(security_schemes=schemes),
        security=[{"ApiKey": []}, {"Bearer": []}],
        path="/schema",
        render_plugins=[DocumentWithExamples()],
        use_handler_docstrings=True,
    )
