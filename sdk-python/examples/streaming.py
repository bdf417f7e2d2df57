"""Print output while a command runs; leaving the block destroys the sandbox."""

import os
import sys

from stacyvm import Client

url = os.environ.get("STACYVM_URL", "http://localhost:7423")

with Client(url, api_key=os.environ.get("STACYVM_API_KEY")) as client, client.spawn(ttl="5m") as sandbox:
    for chunk in sandbox.exec_stream("for i in 1 2 3; do echo $i; sleep 0.1; done"):
        sys.stdout.write(chunk.data)

    stream = sandbox.exec_stream("echo out; sleep 0.1; echo err >&2; exit 4")
    for chunk in stream:
        sys.stdout.write(f"[{chunk.stream}] {chunk.data}")
    print(stream.exit)
