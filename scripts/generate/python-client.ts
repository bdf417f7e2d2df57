import { execFileSync } from "node:child_process";
import { resolve } from "node:path";

/** Writes sdk-python/src/stacyvm/_sync: the blocking Python client, made of the asynchronous one. */
const script = resolve(import.meta.dirname, "..", "..", "sdk-python", "scripts", "make_sync.py");
execFileSync("python3", ["-B", script], { stdio: "inherit" });
