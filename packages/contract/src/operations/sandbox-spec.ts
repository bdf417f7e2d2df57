import { z } from "zod";
import { count, metadata, oneOf, text, textMap } from "../wire.ts";

/** Bytes of all names and values of one environment together. */
const envBytesMax = 128 * 1024;
const label = "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?";
const labelKeyPattern = new RegExp(
  `^(?:(?=[^/]{1,253}/)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*/)?${label}$`,
);
const labelValuePattern = new RegExp(`^(?:${label})?$`);
/** Of environment variables, and so of secrets that stand in them. */
export const envNamePattern = /^[A-Za-z_][A-Za-z0-9_]*$/;
const encoder = new TextEncoder();

const env = textMap({ entries: 256, key: 256, value: 32_768 })
  .refine((map) => Object.keys(map).every((name) => envNamePattern.test(name)), {
    message: "names must be letters, digits and _, and not begin with a digit",
  })
  .refine(
    (map) =>
      Object.entries(map).reduce((bytes, pair) => bytes + encoder.encode(pair.join("=")).length + 1, 0) <= envBytesMax,
    { message: `must be ${envBytesMax} bytes or fewer together` },
  )
  .meta({ description: "Environment of everything that is started in the sandbox. Values are never shown again." });

/** Keys as those of Kubernetes' labels: a name of at most 63 characters, before it a domain and a slash or nothing. */
export const labelKey = text(317).regex(
  labelKeyPattern,
  "must be 1 to 63 letters, digits, -, _ or ., beginning and ending with a letter or digit, after a domain and / or nothing",
);
export const labelValue = text(63).regex(
  labelValuePattern,
  "must be empty or letters, digits, -, _ or ., beginning and ending with a letter or digit",
);
const labels = z
  .record(labelKey, labelValue)
  .refine((map) => Object.keys(map).length <= 64, "must have 64 entries or fewer")
  .meta({ description: "Names and values that lists can filter by, with the rules of Kubernetes' labels." });

/** A DNS label; never one that could be taken for an id. */
export const sandboxName = text(63)
  .regex(
    /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/,
    "must be lower-case letters, digits and -, beginning and ending with a letter or digit",
  )
  .refine((name) => !name.startsWith("sb-"), "must not begin with sb-, as ids do")
  .meta({ description: "DNS label; unique among the living sandboxes of one owner." });

const networkRules = z
  .array(text(512))
  .max(256, "must have 256 rules or fewer")
  .meta({
    description:
      "`api.example.com:443`, `*.example.com`, `203.0.113.0/24:80,8000-8100`, `[2001:db8::/32]:443`; of hosts whose HTTP requests are looked into also " +
      "`inspect api.example.com`, `GET,HEAD api.example.com:443`, `POST api.example.com/v1/*`.",
  });

/** Longest value of a header that is set, and most of them. */
const injectValueMax = 1_024;
const injectRulesMax = 32;

const injectRule = z
  .strictObject({
    host: text(259).meta({ description: "A name with an optional port, 443 where there is none." }),
    header: text(128),
    secret: text(128).meta({ description: "Name of a secret that may be sent to this host." }),
    value: text(injectValueMax)
      .meta({ description: "What the header says, `{secret}` standing for the secret. Default `{secret}` alone." })
      .optional(),
  })
  .meta({ id: "InjectRule" });

export const policyAnswer = {
  mode: z.enum(["none", "public", "allowlist"]),
  allow: z.array(z.string()),
  deny: z.array(z.string()),
  inject: z.array(z.strictObject({ host: z.string(), header: z.string(), secret: z.string(), value: z.string() })),
};

/** What a sandbox may reach: deny counts before allow, allow before the mode. */
export const networkPolicy = z
  .strictObject({
    mode: oneOf(["none", "public", "allowlist"]).meta({
      description: "`public`: the Internet over TCP. `allowlist`: what a rule allows.",
    }),
    allow: networkRules.optional(),
    deny: networkRules.optional(),
    inject: z
      .array(injectRule)
      .max(injectRulesMax, "must have 32 rules or fewer")
      .meta({
        description:
          "Headers that HTTPS requests get on their way out: the sandbox sees neither them nor their values.",
      })
      .optional(),
  })
  .meta({ id: "NetworkPolicy" });

/** What a spawn may say about the sandbox, also a template's. */
export const sandboxSpec = {
  metadata: metadata.optional(),
  env: env.optional(),
  workdir: text(4095)
    .regex(/^\//, "must be absolute")
    .meta({ description: "Where commands start; made where it is missing. Default /workspace." })
    .optional(),
  user: text(128)
    .regex(/^[A-Za-z0-9_][\w.-]*(?::[\w.-]+)?$/, "must be a name, a uid, or either with :gid")
    .meta({ description: "Whom commands run as: a name, uid or uid:gid of the sandbox." })
    .optional(),
  disk_mb: count(1_048_576)
    .refine((size) => size === 0 || size >= 16, "must be 16 or more")
    .meta({ description: "Mebibytes; the server's default where absent or 0." })
    .optional(),
  security: oneOf(["default", "restricted"]).optional(),
  network_mode: text(32)
    .meta({ description: "As old clients say it: `none`, or `bridge` for what `network` calls `public`." })
    .optional(),
  network: networkPolicy.optional(),
  secrets: z
    .array(text(512))
    .max(32, "must have 32 entries or fewer")
    .meta({
      description:
        "`NAME@api.example.com:443`, or `NAME` for every host that the secret may be sent to: the variable NAME gets a placeholder, which HTTPS requests " +
        "to that host carry the secret instead of.",
    })
    .optional(),
  labels: labels.optional(),
  name: sandboxName.optional(),
  if_exists: oneOf(["fail", "get"])
    .meta({ description: "What a taken name means: 409, or the sandbox that has it." })
    .optional(),
};

/** Classes of those for the audit. */
export const sandboxSpecAudit = {
  metadata: "sensitive",
  env: "secret",
  workdir: "public",
  user: "public",
  disk_mb: "public",
  security: "public",
  network_mode: "public",
  network: "public",
  secrets: "public",
  labels: "sensitive",
  name: "public",
  if_exists: "public",
} as const;

/** What `view=full` adds to a sandbox; old clients read the plain one as a closed set of keys. */
export const sandboxDetail = {
  project_id: z.string().optional(),
  name: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  env_names: z.array(z.string()).optional(),
  workdir: z.string().optional(),
  user: z.string().optional(),
  disk_mb: z.int().optional(),
  security: z.string().optional(),
  network_mode: z.string().optional(),
  network: z.strictObject(policyAnswer).optional().meta({ description: "Absent where no gateway decides." }),
  secrets: z.array(z.string()).optional().meta({ description: "Whose placeholders it has: `NAME@host:port`." }),
};

export const view = oneOf(["basic", "full"]).meta({
  description:
    "`full` adds project_id, name, labels, env_names, workdir, user, disk_mb, security, network_mode, network and secrets.",
});
export const viewQuery = z.object({ view: view.optional() });
