import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { megabytesPerSecond, rounded, timed } from "./figures.ts";
import { atLeast, atMost, type Item, type ItemOptions } from "./item.ts";
import { forgetPeak, residentBytes } from "./process-memory.ts";

const mebibyte = 1024 * 1024;
const sizeBytes = 5 * 1024 * mebibyte;
const warmUpBytes = 64 * mebibyte;
const pieceBytes = 256 * mebibyte;
/** Room for the file once: what was uploaded is renamed. */
export const largeFileKeys = { "defaults.disk_size_mb": "6144" };
const path = "/workspace/large";

/** Mebibytes of noise, no two alike, and the checksum of all that were taken. */
class Noise {
  readonly #block = randomBytes(mebibyte);
  readonly #sum = createHash("sha256");
  #taken = 0;

  *take(bytes: number): Generator<Buffer> {
    for (let given = 0; given < bytes; given += mebibyte) {
      const block = Buffer.from(this.#block);
      block.writeUInt32BE(this.#taken++);
      this.#sum.update(block);
      yield block;
    }
  }

  checksum(): string {
    return `sha256:${this.#sum.copy().digest("hex")}`;
  }
}

interface Committed {
  readonly size: number;
  readonly checksum: string;
}

/** Up in pieces, committed by its checksum. */
const upload = async ({ api }: ItemOptions, id: string, bytes: number): Promise<string> => {
  const noise = new Noise();
  const uploads = `/api/v1/sandboxes/${id}/files/uploads`;
  const begun = await api.json<{ readonly upload_id: string }>("POST", uploads, { path, size: bytes });
  const own = `${uploads}/${begun.upload_id}`;
  for (let offset = 0; offset < bytes; offset += pieceBytes) {
    const content = Readable.from(noise.take(Math.min(pieceBytes, bytes - offset)), { objectMode: false });
    const { status, text } = await api.request({ method: "PATCH", path: `${own}?offset=${offset}`, content });
    if (status !== 200) throw new Error(`a piece at ${offset} was answered with ${status}: ${text}`);
  }
  const checksum = noise.checksum();
  const written = await api.json<Committed>("POST", `${own}/commit`, { checksum });
  if (written.size !== bytes || written.checksum !== checksum) throw new Error(`committed ${JSON.stringify(written)}`);
  return checksum;
};

/** The checksum of what comes down. */
const download = async ({ api }: ItemOptions, id: string, bytes: number): Promise<string> => {
  const sum = createHash("sha256");
  let got = 0;
  const onChunk = (chunk: Buffer): void => {
    sum.update(chunk);
    got += chunk.length;
  };
  const file = `/api/v1/sandboxes/${id}/files?path=${path}`;
  const { status } = await api.request({ method: "GET", path: file, onChunk });
  if (status !== 200 || got !== bytes) throw new Error(`${got} bytes came down with ${status}`);
  return `sha256:${sum.digest("hex")}`;
};

/** A file of 5 GiB up in pieces and down again, compared by SHA-256 at both ends, which is part of the time. */
export const largeFile: Item = async (options) => {
  const { api, n = 1, server } = options;
  const id = await api.createSandbox({ vcpus: 2, memory_mb: 1024 });
  try {
    await upload(options, id, warmUpBytes);
    await download(options, id, warmUpBytes);
    const rounds = [];
    for (let at = 0; at < n; at++) {
      forgetPeak(server.pid);
      const before = residentBytes(server.pid).now;
      const up = await timed(() => upload(options, id, sizeBytes));
      const down = await timed(() => download(options, id, sizeBytes));
      rounds.push({
        same: up.value === down.value,
        up_mb_per_s: megabytesPerSecond(sizeBytes, up.ms),
        down_mb_per_s: megabytesPerSecond(sizeBytes, down.ms),
        server_grew_mb: rounded((residentBytes(server.pid).peak - before) / 1e6, 1),
      });
      await api.run(id, "rm", [path]);
    }
    const grew = Math.max(...rounds.map(({ server_grew_mb }) => server_grew_mb));
    return {
      figures: { bytes: sizeBytes, piece_bytes: pieceBytes, rounds },
      lines: [
        atLeast("5 GiB up and down with the same checksum", n, "", rounds.filter(({ same }) => same).length),
        atMost("growth of the server's memory", 64, "MB", grew),
      ],
    };
  } finally {
    await api.destroySandbox(id);
  }
};
