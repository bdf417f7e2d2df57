import { readFile, statfs } from "node:fs/promises";
import { cpus, freemem, loadavg, totalmem } from "node:os";
import type { Clock } from "../lib/clock.ts";

interface Sample {
  readonly atMs: number;
  readonly busyMs: number;
  readonly totalMs: number;
  readonly rxBytes: number;
  readonly txBytes: number;
}

export interface HostStats {
  readonly cpu_pct: number;
  readonly mem_pct: number;
  readonly disk_pct: number;
  readonly net_rx_bps: number;
  readonly net_tx_bps: number;
  readonly load1: number;
}

const zero: HostStats = { cpu_pct: 0, mem_pct: 0, disk_pct: 0, net_rx_bps: 0, net_tx_bps: 0, load1: 0 };

/** Bytes received and sent by all interfaces but loopback; zero where the kernel doesn't say. */
const networkBytes = async (): Promise<readonly [number, number]> => {
  const text = await readFile("/proc/net/dev", "utf8").catch(() => "");
  let received = 0;
  let sent = 0;
  for (const line of text.split("\n").slice(2)) {
    const [name = "", numbers = ""] = line.trim().split(/:\s*/, 2);
    if (name === "" || name === "lo") continue;
    const columns = numbers.split(/\s+/).map(Number);
    received += columns[0] ?? 0;
    sent += columns[8] ?? 0;
  }
  return [received, sent];
};

const takeSample = async (clock: Clock): Promise<Sample> => {
  let busyMs = 0;
  let totalMs = 0;
  for (const { times } of cpus()) {
    const busy = times.user + times.nice + times.sys + times.irq;
    busyMs += busy;
    totalMs += busy + times.idle;
  }
  const [rxBytes, txBytes] = await networkBytes();
  return { atMs: clock.now(), busyMs, totalMs, rxBytes, txBytes };
};

const rate = (from: number, to: number, span: number): number => (span > 0 ? Math.max(0, to - from) / span : 0);

/** Load of the host between two askings, at most one sample a second; all zero at the first asking. */
export const createHostStats = ({ clock, dataDir }: { readonly clock: Clock; readonly dataDir: string }) => {
  let last: Sample | undefined;
  let stats = zero;

  return async (): Promise<HostStats> => {
    if (last !== undefined && clock.now() - last.atMs < 1000) return stats;
    const previous = last;
    const sample = await takeSample(clock);
    last = sample;
    if (previous === undefined) return stats;
    const seconds = (sample.atMs - previous.atMs) / 1000;
    const disk = await statfs(dataDir).catch(() => undefined);
    stats = {
      cpu_pct: 100 * rate(previous.busyMs, sample.busyMs, sample.totalMs - previous.totalMs),
      mem_pct: 100 * (1 - freemem() / totalmem()),
      disk_pct: disk === undefined || disk.blocks === 0 ? 0 : 100 * (1 - disk.bavail / disk.blocks),
      net_rx_bps: rate(previous.rxBytes, sample.rxBytes, seconds),
      net_tx_bps: rate(previous.txBytes, sample.txBytes, seconds),
      load1: loadavg()[0] ?? 0,
    };
    return stats;
  };
};
