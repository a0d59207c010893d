"""The OpenAPI document: what clients rely on stays, and every route has an example that is what it says."""

import jsonschema
import pytest
from api_shapes import SHAPES, document, shapes


@pytest.fixture(scope="module")
def found():
    return document()


def operations(found):
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def validate(found, schema, example, where):
    validator = jsonschema.Draft202012Validator({"components": found["components"], **schema})
    faults = [f"{where}: {fault.json_path}: {fault.message}" for fault in validator.iter_errors(example)]
    assert faults == []


def test_clients_find_what_they_rely_on(found):
    """Run ``python tests/api_shapes.py`` when the interface is meant to change, and read the difference."""
    assert list(shapes(found)) == SHAPES.read_text(encoding="utf-8").splitlines()


def test_every_answer_has_an_example_that_is_what_it_says(found):
    """A new route wants a call in ``tests/api_examples.py``, which records its example when it is run."""
    without = []
    for name, operation in operations(found):
        status = next(each for each in operation["responses"] if each.startswith("2"))
        contents = operation["responses"][status].get("content", {})
        examples = {media: each for media, each in contents.items() if "example" in each}
        without += [name] * bool(contents and not examples)
        examples.pop(
            "text/event-stream", None
        )  # its schema is that of one event, its example a stream of them
        for content in examples.values():
            validate(found, content.get("schema", {}), content["example"], name)
    assert without == []


def test_every_request_has_an_example_that_is_what_it_wants(found):
    for name, operation in operations(found):
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            assert "example" in content, name
            if media == "application/json":
                validate(found, content["schema"], content["example"], name)
        for parameter in operation.get("parameters", ()):
            assert "example" in parameter or parameter["in"] != "path", (name, parameter["name"])
            if "example" in parameter:
                validate(found, parameter["schema"], parameter["example"], name)
