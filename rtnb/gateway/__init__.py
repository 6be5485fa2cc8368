"""The gateway: a process that speaks the Realtime protocol and owns the media.

``app`` is the door (HTTP, WebSocket, tokens), ``conversation`` drives one session's
machine, ``media`` is the page's audio, and ``responder``, ``recogniser`` and ``voice``
are the embedded engine's mind, ears and mouth. In a relay ``upstream`` is the provider
that answers instead and ``relay`` one session with it; ``dialogue`` is what pages and
taps need of either.
"""
