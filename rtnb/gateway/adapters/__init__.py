"""Models of the user's own: servers that speak the OpenAI API, and faster-whisper.

=============  ==========================================  =============================
part           what                                        module
=============  ==========================================  =============================
``[chat]``     ``/v1/chat/completions``, streamed          `chat`, `history`, `sse`
``[stt]``      ``/v1/audio/transcriptions``                `transcription`
``[stt]``      faster-whisper in the gateway's process     `whisper`
``[tts]``      ``/v1/audio/speech``                        `speech`
=============  ==========================================  =============================

`settings` reads which, `probing` tries them before the gateway says that it is ready,
and `server` is the one place that speaks HTTP. Each part takes the place of an embedded
one: the chat model is a `rtnb.gateway.responder.Responder`, the others are what
`rtnb.gateway.parts` describes.
"""
