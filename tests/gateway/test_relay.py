"""A door whose connections go on to a server inside: real sockets on both sides."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from payoff.gateway.relay import IDLE_S_MAX, Relay
from tests.serving.house import until

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
MEGABYTE = b"x" * (1 << 20)
pytestmark = pytest.mark.anyio


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says what it hears, with a word before it."""
    writer.write(b"heard ")
    while said := await reader.read(1 << 16):
        writer.write(said)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def door(path: Path, talk: Talk | None, connections_max: int = 10) -> AsyncIterator[tuple[Relay, int]]:
    """A relay at a port of its own, in front of a server that talks so; with None nobody is behind it."""
    loop = asyncio.get_running_loop()
    inside = None if talk is None else await asyncio.start_unix_server(talk, path)
    relay = Relay(str(path), (path.parent / "left").mkdir, connections_max)
    outside = await loop.create_server(relay.front, "127.0.0.1", 0)
    try:
        yield relay, outside.sockets[0].getsockname()[1]
    finally:
        for line in list(relay.open):
            line.abort()
        outside.close()
        if inside is not None:
            inside.close()


async def test_what_is_said_arrives_in_order_on_both_sides(tmp_path: Path) -> None:
    async with door(tmp_path / "socket", echo) as (relay, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"at once, ")  # before there is a line to the server
        sent = b"".join(number.to_bytes(4, "big") for number in range(500_000))
        writer.write(sent)
        heard = b"heard at once, " + sent
        assert await reader.readexactly(len(heard)) == heard
        assert len(relay.open) == 1
        writer.close()


async def test_who_does_not_read_is_not_written_to_for_ever(tmp_path: Path) -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            writer.write(MEGABYTE)
            await writer.drain()
            sent += 1

    async with door(tmp_path / "socket", pour) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 10)
        before = -1
        while sent != before or not sent:  # until nothing more goes in
            before = sent
            await asyncio.sleep(0.2)
        stuck = sent
        assert stuck < 64
        while sent < stuck + 16:  # and it goes on as soon as somebody reads
            await reader.read(1 << 20)
        writer.close()


async def test_a_server_that_ends_a_line_ends_it_after_all_that_it_has_said(tmp_path: Path) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(MEGABYTE * 4)
        writer.close()

    async with door(tmp_path / "socket", say) as (relay, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert len(await reader.read()) == 4 << 20
        writer.close()
        await until(lambda: not relay.open)


async def test_connections_over_the_limit_are_refused_and_counted(tmp_path: Path) -> None:
    async with door(tmp_path / "socket", echo, connections_max=1) as (relay, port):
        first, _ = await asyncio.open_connection("127.0.0.1", port)
        assert await first.readexactly(6) == b"heard "
        second, _ = await asyncio.open_connection("127.0.0.1", port)
        assert await second.read() == b""
        assert (relay.refused, len(relay.open)) == (1, 1)


async def test_a_door_with_nobody_behind_it_lets_callers_go(tmp_path: Path) -> None:
    async with door(tmp_path / "socket", None) as (relay, port):
        reader, _ = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        assert not relay.open


async def test_a_line_on_which_nothing_moves_is_ended(tmp_path: Path) -> None:
    async with door(tmp_path / "socket", echo) as (relay, port):
        reader, _ = await asyncio.open_connection("127.0.0.1", port)
        await reader.readexactly(6)
        (line,) = relay.open
        now = asyncio.get_running_loop().time()
        line.check_time(now + IDLE_S_MAX / 2)
        assert relay.open
        line.check_time(now + IDLE_S_MAX + 60)
        assert await reader.read() == b""
        assert not relay.open


async def test_the_server_is_told_once_that_it_is_to_leave_and_has_its_time(tmp_path: Path) -> None:
    async with door(tmp_path / "socket", echo) as (relay, port):
        reader, _ = await asyncio.open_connection("127.0.0.1", port)
        await reader.readexactly(6)
        (line,) = relay.open
        line.drain()
        line.drain()
        assert (tmp_path / "left").exists()
        assert relay.open
