"""The server of all models of these tests."""

import pytest

from tests.gateway.adapters.servers import hub


@pytest.fixture(scope="session", autouse=True)
def model_hub():
    with hub():
        yield
