"""Settings of an account that is not there, and AWS's own model of what it takes."""

import re

import botocore.session
import pytest
from botocore.validate import ParamValidator

from fakesound.config import SageMakerConfig

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/fakesound:1"


@pytest.fixture
def settings():
    """Return a function of changed settings."""

    def made(**changed):
        given = {
            "role": "arn:aws:iam::123456789012:role/train",
            "image": IMAGE,
            "bucket": "a-bucket",
            "region": "eu-west-1",
        }
        return SageMakerConfig(**(given | changed))

    return made


@pytest.fixture(scope="session")
def asked():
    """Return a function that says what SageMaker's own model finds wrong in a request."""
    model = botocore.session.get_session().get_service_model("sagemaker")

    def problems(operation, request):
        shape = model.operation_model(operation).input_shape
        report = ParamValidator().validate(request, shape)
        if report.has_errors():
            return [report.generate_report()]
        return list(_limits(request, shape))

    return problems


def _limits(value, shape):
    """Yield what breaks patterns, lengths and choices, which botocore leaves to the server."""
    if shape.type_name == "structure":
        for key, inner in value.items():
            yield from _limits(inner, shape.members[key])
        return
    limits = shape.metadata
    if shape.type_name == "list":
        for inner in value:
            yield from _limits(inner, shape.member)
    elif shape.type_name == "map":
        for key, inner in value.items():
            yield from _limits(key, shape.key)
            yield from _limits(inner, shape.value)
    elif shape.type_name == "string":
        # what Java's classes of signs are in Python
        pattern = limits.get("pattern", ".*").replace(r"\p{L}\p{Z}\p{N}_", r"\w ")
        if not re.fullmatch(pattern, value):
            yield f"{shape.name}: {value!r} is not {pattern}"
        if "enum" in limits and value not in limits["enum"]:
            yield f"{shape.name}: {value!r}"
    size = value if isinstance(value, int | float) else len(value)
    if not limits.get("min", size) <= size <= limits.get("max", size):
        yield f"{shape.name}: {value!r} is too small or too large"
