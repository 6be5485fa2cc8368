"""A sample of every event, as we build them: each field with each kind of value."""

import msgspec

from rtnb.protocol import events as ev
from rtnb.protocol.codec import CLIENT_EVENTS, SERVER_EVENTS

PCM = ev.AudioPcm(rate=24000)
FORMATS = [PCM, ev.AudioPcmu(), ev.AudioPcma()]

TRANSCRIPTION = ev.InputAudioTranscription(
    model="gpt-live-transcribe",
    language="en",
    prompt="names",
    languages=["en"],
    keywords=["rtnb"],
    delay="low",
)
TURN_DETECTIONS = [
    ev.ServerVad(
        threshold=0.5,
        prefix_padding_ms=300,
        silence_duration_ms=200,
        idle_timeout_ms=5000,
        create_response=True,
        interrupt_response=False,
    ),
    ev.ServerVad(idle_timeout_ms=None),
    ev.SemanticVad(eagerness="high", create_response=False, interrupt_response=True),
    None,
]
INPUTS = [
    ev.AudioInput(
        format=each,
        transcription=TRANSCRIPTION,
        noise_reduction=ev.NoiseReduction(type="near_field", strength=0.5),
        turn_detection=detection,
    )
    for each in FORMATS
    for detection in TURN_DETECTIONS
] + [ev.AudioInput(transcription=None, noise_reduction=None)]
OUTPUTS = [
    ev.AudioOutput(format=PCM, voice="marin", speed=1.0),
    ev.AudioOutput(voice=ev.VoiceId(id="voice_1")),
]

FUNCTION = ev.FunctionTool(
    name="look_up", description="Looks it up.", parameters={"type": "object"}
)
FILTER = ev.McpToolFilter(tool_names=["search"], read_only=True)
TOOLS = [
    FUNCTION,
    ev.McpTool(
        server_label="docs",
        server_url="https://mcp.example/sse",
        authorization="secret",
        headers={"x-team": "a"},
        allowed_tools=FILTER,
        require_approval=ev.McpApprovalFilter(always=FILTER, never=FILTER),
        server_description="Documents.",
        allowed_callers=["direct"],
        defer_loading=True,
    ),
    ev.McpTool(
        server_label="mail",
        connector_id="connector_gmail",
        allowed_tools=["read"],
        require_approval="never",
    ),
    ev.McpTool(server_label="tunnel", tunnel_id="tunnel_1"),
]
CHOICES = [
    "auto",
    ev.ToolChoiceFunction(name="look_up"),
    ev.ToolChoiceMcp(server_label="docs", name="search"),
]
SETTINGS = {
    "instructions": "Be brief.",
    "output_modalities": ["audio"],
    "tools": TOOLS,
    "parallel_tool_calls": True,
    "reasoning": ev.Reasoning(effort="low"),
    "max_output_tokens": "inf",
    "prompt": ev.Prompt(id="pmpt_1", version="2", variables={"city": "London"}),
}
REALTIME = ev.RealtimeSession(
    object="realtime.session",
    id="sess_1",
    model="gpt-realtime",
    expires_at=1785217648,
    tool_choice="auto",
    truncation="auto",
    tracing=None,
    audio=ev.AudioConfig(input=INPUTS[0], output=OUTPUTS[0]),
    include=["item.input_audio_transcription.logprobs"],
    **SETTINGS,
)
LIMITS = ev.TokenLimits(post_instructions=8000)
SESSIONS = [
    REALTIME,
    ev.RealtimeSession(prompt=None, include=None, max_output_tokens=1024),
    ev.RealtimeSession(tracing="auto", truncation="disabled"),
    ev.RealtimeSession(
        tracing=ev.TracingConfig(workflow_name="w", group_id="g", metadata={"k": "v"}),
        truncation=ev.RetentionRatio(retention_ratio=0.8, token_limits=LIMITS),
    ),
    *(ev.RealtimeSession(tool_choice=choice) for choice in CHOICES),
    *(ev.RealtimeSession(audio=ev.AudioConfig(input=each)) for each in INPUTS),
    *(ev.RealtimeSession(audio=ev.AudioConfig(output=each)) for each in OUTPUTS),
    ev.TranscriptionSession(
        object="realtime.transcription_session",
        id="sess_1",
        expires_at=1785217648,
        audio=ev.TranscriptionAudioConfig(input=INPUTS[0]),
        include=None,
    ),
]

PNG_URI = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAD0lEQVR4nGM8ISfHwMAAAAXMAQZFiFnUAAAAAElFTkSuQmCC"
"""Two red pixels."""

SPOKEN = ev.MessageItem(
    id="item_1",
    status="completed",
    role="assistant",
    content=[ev.OutputAudio(transcript="Hi there!")],
    phase="final_answer",
)
PICTURE = ev.InputImage(image_url=PNG_URI, detail="auto")
CALL = {"server_label": "docs", "name": "search", "arguments": "{}"}
ITEMS = [
    SPOKEN,
    ev.MessageItem(
        role="user",
        content=[
            ev.InputText(text="What is this?"),
            ev.InputAudio(audio=b"\0\0", transcript=None),
            PICTURE,
        ],
    ),
    ev.MessageItem(role="system", content=[ev.InputText(text="Be brief.")]),
    ev.MessageItem(role="assistant", content=[ev.OutputText(text="Hi.")]),
    ev.MessageItem(role="assistant", content=[ev.OutputAudio(audio=b"\0\0")]),
    ev.FunctionCallItem(
        id="item_2",
        object="realtime.item",
        status="in_progress",
        name="look_up",
        call_id="call_1",
        arguments="",
    ),
    ev.FunctionCallOutputItem(id="item_3", call_id="call_1", output="12 degrees"),
    ev.McpListToolsItem(
        id="item_4",
        server_label="docs",
        tools=[
            ev.McpToolDescription(
                name="search",
                description="Searches.",
                input_schema={"type": "object"},
                annotations={"readOnlyHint": True},
            )
        ],
    ),
    ev.McpCallItem(id="item_5", **CALL, approval_request_id="item_6", output="found"),
    *(
        ev.McpCallItem(id="item_5", **CALL, error=error)
        for error in (
            ev.McpProtocolError(code=1, message="odd"),
            ev.McpToolExecutionError(message="broken"),
            ev.McpHttpError(code=500, message="down"),
            None,
        )
    ),
    ev.McpApprovalRequestItem(id="item_6", **CALL),
    ev.McpApprovalResponseItem(
        id="item_7", approval_request_id="item_6", approve=False, reason="no"
    ),
]
PARTS = [
    ev.AudioPart(transcript=""),
    ev.TextPart(text="Hi."),
    ev.AudioPart(transcript="Hi.", audio=b"\0\0"),
]

USAGE = ev.Usage(total_tokens=40, input_tokens=16, output_tokens=24)
RESPONSE = ev.Response(
    object="realtime.response",
    id="resp_1",
    status="completed",
    status_details=None,
    output=ITEMS,
    conversation_id="conv_1",
    output_modalities=["audio"],
    max_output_tokens="inf",
    audio=ev.ResponseAudio(output=ev.ResponseAudioOutput(format=PCM, voice="alloy")),
    usage=USAGE,
    metadata={"topic": "weather"},
)
DETAILS = [
    ev.StatusDetails(type="cancelled", reason="turn_detected"),
    ev.StatusDetails(type="cancelled", reason="client_cancelled"),
    ev.StatusDetails(type="incomplete", reason="max_output_tokens"),
    ev.StatusDetails(
        type="failed",
        error=ev.StatusError(
            type="server_error", code=None, message="The voice broke."
        ),
    ),
]
RESPONSES = [
    RESPONSE,
    ev.Response(
        id="resp_2",
        status="in_progress",
        conversation_id=None,
        usage=None,
        metadata=None,
    ),
    *(ev.Response(status=str(d.type), status_details=d, output=[]) for d in DETAILS),
]
CONFIGS = [
    ev.ResponseConfig(),
    ev.ResponseConfig(conversation="none", metadata={"topic": "weather"}, input=[]),
    ev.ResponseConfig(
        **SETTINGS, tool_choice="none", audio=RESPONSE.audio, input=ITEMS[:3]
    ),
]
LOGPROBS = [ev.LogProb(token="Hi", logprob=-0.1, bytes=[72, 105])]

VALUES = {
    "arguments": ['{"city": "London"}'],
    "audio": [b"\0\1\2\3", b""],
    "audio_end_ms": [4256],
    "audio_start_ms": [1460],
    "call_id": ["call_1"],
    "content_index": [0],
    "conversation": [ev.Conversation(id="conv_1", object="realtime.conversation")],
    "delta": ["Hi"],
    "end": [1.5],
    "error": [
        ev.ErrorDetail(
            type="invalid_request_error",
            code="invalid_value",
            message="Invalid value.",
            param="session.type",
            event_id="event_2",
        ),
        ev.ErrorDetail(
            type="server_error", code=None, message="Oh.", param=None, event_id=None
        ),
    ],
    "event": ["#"],
    "event_id": ["event_1"],
    "id": ["seg_1"],
    "item": ITEMS,
    "item_id": ["item_1"],
    "languages": [[ev.TranscriptionLanguage(code="en")], []],
    "logprobs": [LOGPROBS, None],
    "name": ["look_up"],
    "obfuscation": ["x7"],
    "output_index": [0],
    "part": PARTS,
    "previous_item_id": ["item_0", None],
    "rate_limits": [
        [ev.RateLimit(name="tokens", limit=100, remaining=99, reset_seconds=0.002)]
    ],
    "received_at": [1785217648],
    "response": RESPONSES,
    "response_id": ["resp_1"],
    "session": SESSIONS,
    "speaker": ["A"],
    "start": [0.5],
    "text": ["Hi there!"],
    "transcript": ["Hi there!"],
    "usage": [
        msgspec.convert({"type": "duration", "seconds": 3}, ev.TranscriptionUsage),
        msgspec.convert({"type": "tokens", "total_tokens": 2}, ev.TranscriptionUsage),
    ],
}
SPECIAL = {
    (ev.ConversationItemCreate, "previous_item_id"): ["item_0", "root"],
    (ev.ResponseCreate, "response"): CONFIGS,
    (ev.ResponseOutputAudioDelta, "delta"): [b"\0\1\2\3", b""],
    (ev.ConversationItemInputAudioTranscriptionFailed, "error"): [
        ev.TranscriptionError(
            type="transcription_error",
            code="audio_unintelligible",
            message="The audio could not be transcribed.",
        )
    ],
    (ev.InputAudioBufferDtmfEventReceived, "event_id"): [msgspec.UNSET],
}


def samples(cls):
    """Events of a class: all fields set, once with each value of each field."""
    choices = {
        field.name: SPECIAL.get((cls, field.name), VALUES[field.name])
        if field.name in VALUES
        else SPECIAL[cls, field.name]
        for field in msgspec.structs.fields(cls)
    }
    first = {name: values[0] for name, values in choices.items()}
    varied = [
        cls(**{**first, name: value})
        for name, values in choices.items()
        for value in values[1:]
    ]
    return [cls(**first), *varied]


CLIENT_SAMPLES = {name: samples(cls) for name, cls in CLIENT_EVENTS.items()}
SERVER_SAMPLES = {name: samples(cls) for name, cls in SERVER_EVENTS.items()}
