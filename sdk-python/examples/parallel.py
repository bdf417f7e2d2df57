"""Run the same script in several sandboxes at once."""

import asyncio
import os

from stacyvm import AsyncClient

url = os.environ.get("STACYVM_URL", "http://localhost:7423")
script = "echo $((NUMBER * NUMBER))"


async def square(client: AsyncClient, number: int) -> str:
    async with await client.spawn(ttl="5m") as sandbox:
        await sandbox.files.write("square.sh", script)
        return (await sandbox.exec("sh square.sh", env={"NUMBER": str(number)}, timeout="10s")).stdout.strip()


async def main() -> None:
    async with AsyncClient(url, api_key=os.environ.get("STACYVM_API_KEY")) as client:
        print(await asyncio.gather(*(square(client, number) for number in range(4))))


asyncio.run(main())
