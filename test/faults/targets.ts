/** A provider whose sandboxes the fault and leak tests make. A new provider is one row. */
export interface FaultTarget {
  readonly provider: string;
  /** What its server is configured with beyond the others'. */
  readonly config: Readonly<Record<string, string>>;
  /** Its runtimes are made by stacyvm-host, whose death is then a fault of its own. */
  readonly usesHostHelper: boolean;
  /** Create, exec, destroy: how often the long churn does it. */
  readonly churnRounds: number;
}

export const faultTargets: readonly FaultTarget[] = [
  { provider: "oci", config: {}, usesHostHelper: true, churnRounds: 10_000 },
  { provider: "mock", config: {}, usesHostHelper: true, churnRounds: 500 },
];

export const configOf = ({ provider, config }: FaultTarget): Readonly<Record<string, string>> => ({
  "providers.default": provider,
  ...config,
});
