"""Sessions on disk: written while they are held, opened again without a network.

What could have happened is asked of a `Recording`: the turns that other settings would
have made (`Recording.replay_turns`), and whether the server's marks are those that the
turn detector of this package expects (`Recording.check_replica`).
"""

from __future__ import annotations

from rtnb.recording.alignment import Change, align
from rtnb.recording.counterfactual import Counterfactual, Outcome
from rtnb.recording.folder import AudioRef, Manifest
from rtnb.recording.reading import InForce, RecordedEvent, Recording
from rtnb.recording.recorder import Recorder
from rtnb.recording.replica import MarkCheck, ReplicaReport
from rtnb.recording.simulation import SimulatedTurn
from rtnb.recording.turns import RecordedTurn

__all__ = [
    "AudioRef",
    "Change",
    "Counterfactual",
    "InForce",
    "Manifest",
    "MarkCheck",
    "Outcome",
    "RecordedEvent",
    "RecordedTurn",
    "Recorder",
    "Recording",
    "ReplicaReport",
    "SimulatedTurn",
    "align",
]
