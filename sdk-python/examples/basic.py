"""Spawn a sandbox, run a command in it, write a file and read it back."""

import os

from stacyvm import Client

url = os.environ.get("STACYVM_URL", "http://localhost:7423")

with Client(url, api_key=os.environ.get("STACYVM_API_KEY")) as client:
    print("server:", client.health()["status"])
    sandbox = client.spawn(image="alpine:latest", ttl="10m")
    print("sandbox:", sandbox.state, sandbox.get_preview_url(3000))

    result = sandbox.exec("echo 'Hello from StacyVM!'")
    print("exit code:", result.exit_code, "stdout:", result.stdout.strip())

    sandbox.write_file("/tmp/greeting.txt", "Hello, world!\n")
    print("read back:", repr(sandbox.read_file("/tmp/greeting.txt")))
    print("files:", [file["path"] for file in sandbox.list_files("/tmp")])

    sandbox.destroy()
    print("destroyed")
