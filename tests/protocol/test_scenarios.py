"""The scenarios, through both machines."""

import pytest

from tests.protocol.scenario import FILES, play, read
from tests.protocol.stage import Machines


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path):
    scenario = read(path)
    stage = Machines(scenario.model, transcribes=scenario.transcribes)
    play(scenario, stage)
    stage.agree()
