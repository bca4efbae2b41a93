"""WebSockets: blocks as they are measured, and events as they happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.concurrency import run_in_threadpool

from nanopilot.app.server.answers import problem_answer
from nanopilot.app.server.asking import Served
from nanopilot.app.server.events import Listener
from nanopilot.app.server.measurements import Block, Measurement
from nanopilot.app.server.service import Service
from nanopilot.core.errors import NanopilotError, UnknownName
from nanopilot.core.values import Value
from nanopilot.instruments.remote.messages import Dropped, Ended
from nanopilot.instruments.remote.problems import problem_of

router = APIRouter(prefix="/v1")
#: Blocks from this size on are packed in a thread.
_LARGE = 1 << 18


class Lost(Value):
    """Told in the stream of events: so many were passed over, because the reader was too slow."""

    kind: str = "dropped"
    count: int


@router.websocket("/acquisitions/{name}/blocks")
async def blocks(
    socket: WebSocket, name: str, service: Served, newest: bool = True, first: int = 0
) -> None:
    """Send the blocks of a measurement from number `first` on, then how it ended.

    A reader that is slower than the instrument gets the newest frame of a series, or with
    ``newest=false`` every block that is still kept. It is told what it missed; the result has it.
    """
    try:
        measurement = service.measurements.find(name)
    except UnknownName as error:
        await socket.send_denial_response(problem_answer(problem_of(error), 404))
        return
    await socket.accept()
    async with _until_gone(socket) as gone:
        await _send_blocks(socket, measurement, (newest, max(0, first)), gone)


async def _send_blocks(
    socket: WebSocket,
    measurement: Measurement,
    how: tuple[bool, int],
    gone: asyncio.Future[None],
) -> None:
    newest, first = how
    frame = -1
    while True:
        ticket = measurement.bell.ticket()
        finished = measurement.finished
        block = measurement.after(first, newest=newest, frame=frame)
        if block is not None:
            ticket.cancel()
            if block.number > first:
                dropped = Dropped(first=first, count=block.number - first)
                await socket.send_text(dropped.model_dump_json())
            # Waits while the reader has not taken what was sent before.
            await socket.send_bytes(await _packed(block))
            first, frame = block.number + 1, block.frame
        elif finished:
            ticket.cancel()
            await socket.send_text(Ended(progress=measurement.progress()).model_dump_json())
            await socket.close()
            return
        else:
            await asyncio.wait({ticket, gone}, return_when=asyncio.FIRST_COMPLETED)
            ticket.cancel()
        if gone.done():
            return


async def _packed(block: Block) -> bytes:
    return await run_in_threadpool(block.packed) if block.size >= _LARGE else block.packed()


@router.websocket("/events")
async def events(socket: WebSocket, service: Served) -> None:
    """Send every audit row and note as it is written, and the state now and then."""
    listener = service.listeners.add()
    try:
        await socket.accept()
        async with _until_gone(socket) as gone:
            await _send_events(socket, service, listener, gone)
    finally:
        service.listeners.remove(listener)


async def _send_events(
    socket: WebSocket, service: Service, listener: Listener, gone: asyncio.Future[None]
) -> None:
    every = service.settings.state_seconds or None
    read = -float("inf")
    while not gone.done() and not service.closing.is_set():
        ticket = listener.bell.ticket()
        dropped, messages = listener.take()
        if dropped:
            await socket.send_text(Lost(count=dropped).model_dump_json())
        for message in messages:
            await socket.send_text(message)
        if every is not None and service.wall.now() - read >= every:
            read = service.wall.now()
            await socket.send_text(await asyncio.to_thread(_state, service))
        elif not messages:
            await asyncio.wait({ticket, gone}, timeout=every, return_when=asyncio.FIRST_COMPLETED)
        ticket.cancel()
    if not gone.done():
        await socket.close(1001, "the server closes")


def _state(service: Service) -> str:
    try:
        state = service.scope.state().model_dump_json()
    except NanopilotError as error:
        return f'{{"kind":"problem","problem":{problem_of(error).model_dump_json()}}}'
    return f'{{"kind":"state","state":{state}}}'


@asynccontextmanager
async def _until_gone(socket: WebSocket) -> AsyncIterator[asyncio.Future[None]]:
    """Give what is done when the reader has gone; what it says meanwhile is not listened to."""

    async def listen() -> None:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass

    gone = asyncio.ensure_future(listen())
    try:
        yield gone
    except WebSocketDisconnect:
        return
    finally:
        gone.cancel()
        await asyncio.wait({gone})
