"""The server's half of a Realtime conversation, without any I/O.

How it is driven:

.. code-block:: python

    machine = ServerMachine(model="gpt-realtime", now=clock.now())
    while ...:
        machine.receive(message, now=clock.now())       # or .append_audio(samples)
        for event in machine.take_events():             # to be sent, in order
            send(encode(event))
        for effect in machine.take_effects():           # to be done by the engine
            start(effect)

The engine answers an effect by calling back: `judged`, `drafted`, `transcribed`,
`nothing_heard`, `transcription_failed`, `write`, `play`, `call`, `next_message`,
`account`, `finish`, `stop`, `fail`, `mcp_listed`, `mcp_failed`, `mcp_called`.

Time is an argument: seconds since the epoch. Audio inside is float32, mono, 24 kHz;
positions are counted in samples appended since the session began.
"""

from __future__ import annotations

from rtnb.protocol.formats import SAMPLE_RATE
from rtnb.protocol.server.accounts import Tokens
from rtnb.protocol.server.effects import (
    CallMcpTool,
    Draft,
    Effect,
    Forget,
    ForgetMcpServer,
    Hangup,
    Hear,
    JudgePause,
    Listen,
    ListMcpTools,
    McpServer,
    Recognise,
    Respond,
    StopMcpCall,
    StopResponding,
    Translate,
)
from rtnb.protocol.server.input_audio import JUDGE_PATIENCE_S, SHORTEST_COMMIT_MS
from rtnb.protocol.server.listening import Machine
from rtnb.protocol.server.machine import ServerMachine
from rtnb.protocol.server.responses import FAILURES, Shortfall
from rtnb.protocol.server.transcription import TranscriptionMachine
from rtnb.protocol.server.transcripts import HeardWord
from rtnb.protocol.server.translation import TranslationMachine

__all__ = [
    "FAILURES",
    "JUDGE_PATIENCE_S",
    "SAMPLE_RATE",
    "SHORTEST_COMMIT_MS",
    "CallMcpTool",
    "Draft",
    "Effect",
    "Forget",
    "ForgetMcpServer",
    "Hangup",
    "Hear",
    "HeardWord",
    "JudgePause",
    "ListMcpTools",
    "Listen",
    "Machine",
    "McpServer",
    "Recognise",
    "Respond",
    "ServerMachine",
    "Shortfall",
    "StopMcpCall",
    "StopResponding",
    "Tokens",
    "TranscriptionMachine",
    "Translate",
    "TranslationMachine",
]
