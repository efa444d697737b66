"""Gateways that tests share."""

import pytest
from gateways import DIALECTS, Gateway, configuration


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory):
    """A gateway without a configuration: routes under MPC, with the model that is built in."""
    with Gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="session", params=DIALECTS)
def translating(request: pytest.FixtureRequest, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory):
    """A gateway whose only provider, the other gateway, is spoken to in one dialect; one for each dialect."""
    with Gateway(tmp_path_factory.mktemp(request.param), configuration(request.param, gateway.base_url)) as running:
        yield running
