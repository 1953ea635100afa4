"""The relay hands on what is said, both ways, and hangs up with the other side."""

import asyncio

from modelfetch.devcluster.realnode.relay import start_relay


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one line in capitals and hang up."""
    writer.write((await reader.readline()).upper())
    writer.close()


async def ask(port: int) -> bytes:
    """Return all that is answered to one line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"who is there\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def port_of(server: asyncio.Server) -> int:
    """Return where a server listens."""
    return int(server.sockets[0].getsockname()[1])


def test_a_connection_goes_through() -> None:
    """Question and answer arrive whole; where nobody listens behind the relay, the connection ends."""

    async def both() -> tuple[bytes, bytes]:
        target = await asyncio.start_server(shout, "127.0.0.1", 0)
        async with await start_relay("127.0.0.1", 0, port_of(target)) as relay:
            async with target:
                heard = await ask(port_of(relay))
            return heard, await ask(port_of(relay))

    assert (b"WHO IS THERE\n", b"") == asyncio.run(both())
