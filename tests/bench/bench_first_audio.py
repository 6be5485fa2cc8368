"""From the end of speech being decided to the first sound of the answer on the wire.

Run as ``python -m tests.bench.bench_first_audio``: a real gateway process, human speech
sent at the speed of speech in 20 ms chunks, recognition on, the scripted responder.
Prints the median and the extremes in milliseconds of wall time.
"""

from __future__ import annotations

import asyncio
import base64
import json
import statistics
import time

import websockets

from rtnb.audio import Clip
from tests.gateway.conftest import RunningGateway, start_gateway, stop_gateway

TURNS = 12
CHUNK = 480


async def speak(socket: websockets.ClientConnection, clip: Clip) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    samples = clip.resample(24_000).samples
    for start in range(0, len(samples), CHUNK):
        pcm = Clip(samples[start : start + CHUNK], 24_000).to_pcm16()
        audio = base64.b64encode(pcm).decode()
        await socket.send(
            json.dumps({"type": "input_audio_buffer.append", "audio": audio})
        )
        due = began + (start + CHUNK) / 24_000
        await asyncio.sleep(max(0.0, due - loop.time()))


async def measure(gateway: RunningGateway) -> list[float]:
    delays: list[float] = []
    headers = {"Authorization": f"Bearer {gateway.token}"}
    clip = Clip.example("austen-0880") + Clip.silence(0.8, 16_000)
    async with websockets.connect(
        gateway.url, additional_headers=headers, compression=None, max_size=None
    ) as socket:
        for _ in range(TURNS):
            speaking = asyncio.create_task(speak(socket, clip))
            stopped = 0.0
            async for message in socket:
                kind = json.loads(message)["type"]
                if kind == "input_audio_buffer.speech_stopped":
                    stopped = time.perf_counter()
                elif kind == "response.output_audio.delta" and stopped:
                    delays.append(1000 * (time.perf_counter() - stopped))
                    stopped = 0.0
                elif kind == "response.done":
                    break
            await speaking
    return delays


def main() -> None:
    gateway = start_gateway()
    try:
        delays = asyncio.run(measure(gateway))
    finally:
        stop_gateway(gateway)
    print(
        f"speech_stopped to first audio delta, {len(delays)} turns: median "
        f"{statistics.median(delays):.0f} ms, {min(delays):.0f} to {max(delays):.0f} ms"
    )


if __name__ == "__main__":
    main()
