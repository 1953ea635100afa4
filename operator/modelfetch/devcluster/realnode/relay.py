"""`python -m modelfetch.devcluster.realnode.relay ADDRESS PORT TO-PORT`: hands connections on to a port of loopback.

It stands for kube-proxy: Pods reach the API server by its service address, which this program listens on.
"""

import asyncio
import sys
from contextlib import closing

_PIECE_BYTES = 1 << 16


async def start_relay(address: str, port: int, target: int) -> asyncio.Server:
    """Return the server once it listens; a connection ends with either of its sides."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            try:
                from_target, to_target = await asyncio.open_connection("127.0.0.1", target)
            except OSError:
                return  # the API server is away: so is the answer
            with closing(to_target):
                copies = [asyncio.create_task(_copy(*ends)) for ends in ((reader, to_target), (from_target, writer))]
                await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
                for copy in copies:
                    copy.cancel()

    return await asyncio.start_server(serve, address, port)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    except OSError:
        return  # either side hung up, which ends both


async def _main(address: str, port: int, target: int) -> None:
    async with await start_relay(address, port, target) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
