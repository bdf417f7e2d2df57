/** Recorded rows whose operations don't exist yet. One that answers otherwise than "no such path" must leave this list. */
export const notServed: readonly { readonly what: string; readonly rows: readonly string[] }[] = [
  {
    what: "environments",
    rows: [
      "env spec",
      "env spec duplicate",
      "env spec invalid",
      "env specs",
      "env specs no owner",
      "env spec get",
      "env spec missing",
      "env suggestions",
      "env build bad target",
      "env builds empty",
      "env builds bad limit",
      "registry connection",
      "registry connections",
      "registry connection invalid",
      "registry connection delete",
    ],
  },
  { what: "policies", rows: ["policy create", "policy invalid", "policies", "policy delete"] },
  { what: "audit", rows: ["tenant audit", "audit", "audit bad limit", "audit csv"] },
  {
    what: "workers that register",
    rows: [
      "heartbeat",
      "heartbeat other",
      "heartbeat no credentials",
      "renew unknown lease",
      "renew bad ttl",
      "worker delete",
    ],
  },
  { what: "diagnostics", rows: ["diagnostics"] },
];

/** Rows, by recording, of operations that exist, whose recorded answer depends on one that doesn't. */
export const dependsOnNotServed: Readonly<Record<string, string>> = {
  "auth: policy denies": "needs a policy",
  "auth: workers": "needs a second worker",
};
