import { dockerGround } from "./docker-ground.ts";
import { type FaultGround, hostGround } from "./ground.ts";

/** A provider whose sandboxes the fault and leak tests make. A new provider is one row. */
export interface FaultTarget {
  readonly provider: string;
  /** Makes what its server needs beside itself, such as an engine of the test's own; disposed of after the server. */
  readonly ground: () => Promise<FaultGround>;
  /** Its runtimes are made by stacyvm-host, whose death is then a fault of its own, and whose records may be damaged. */
  readonly usesHostHelper: boolean;
  /** Create, exec, destroy: how often the long churn does it. */
  readonly churnRounds: number;
}

export const faultTargets: readonly FaultTarget[] = [
  { provider: "oci", ground: () => hostGround(), usesHostHelper: true, churnRounds: 10_000 },
  { provider: "docker", ground: dockerGround, usesHostHelper: false, churnRounds: 500 },
  {
    provider: "proot",
    ground: () => hostGround({ "providers.proot.enabled": "true" }),
    usesHostHelper: true,
    churnRounds: 500,
  },
  { provider: "mock", ground: () => hostGround(), usesHostHelper: true, churnRounds: 500 },
];

export const configOf = ({ provider }: FaultTarget, { config }: FaultGround): Readonly<Record<string, string>> => ({
  "providers.default": provider,
  ...config,
});
