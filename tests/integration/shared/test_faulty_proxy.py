"""The proxy that injects faults does to connections what its tools say; other tests rest on it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.faulty_proxy import FaultyProxy, open_faulty_proxy
from tests.support.wait import eventually

LIMIT = 10.0
SHORT = 0.3


@pytest.fixture
async def echo() -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.fixture
def proxy(echo: str) -> Iterator[FaultyProxy]:
    with open_faulty_proxy(echo) as opened:
        yield opened


async def test_forwards_in_both_directions_and_the_end(proxy: FaultyProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    sent = bytes(range(256)) * 8192
    writer.write(sent)
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(-1), LIMIT) == sent
    writer.close()
    await eventually(lambda: proxy.connections == 0)


async def test_stall_forwards_neither_bytes_nor_the_end_until_resume(proxy: FaultyProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"before")
    assert await asyncio.wait_for(reader.readexactly(6), LIMIT) == b"before"
    proxy.stall()
    writer.write(b"during")
    writer.write_eof()
    late_reader, late_writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    late_writer.write(b"late")
    for each in (reader, late_reader):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(each.read(1), SHORT)
    proxy.resume()
    assert await asyncio.wait_for(reader.read(-1), LIMIT) == b"during"
    assert await asyncio.wait_for(late_reader.readexactly(4), LIMIT) == b"late"
    writer.close()
    late_writer.close()


async def test_delay_adds_latency_in_each_direction(proxy: FaultyProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    proxy.delay(SHORT)
    began = asyncio.get_running_loop().time()
    writer.write(b"x")
    await asyncio.wait_for(reader.readexactly(1), LIMIT)
    assert asyncio.get_running_loop().time() - began >= 2 * SHORT
    writer.close()


async def test_cut_resets_connections_and_accepts_new_ones(proxy: FaultyProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"x")
    await asyncio.wait_for(reader.readexactly(1), LIMIT)
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(1), LIMIT)
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"y")
    assert await asyncio.wait_for(reader.readexactly(1), LIMIT) == b"y"
    writer.close()


def test_redirects_addresses_with_and_without_a_login(proxy: FaultyProxy) -> None:
    assert (
        proxy.redirect("postgresql://me:secret@db:5432/x?a=b") == f"postgresql://me:secret@127.0.0.1:{proxy.port}/x?a=b"
    )
    assert proxy.redirect("http://db:80/x") == f"http://127.0.0.1:{proxy.port}/x"
