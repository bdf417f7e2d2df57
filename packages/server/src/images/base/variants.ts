import type { BaseVariant } from "../image-store.ts";
import type { Account } from "./settings.ts";

export interface VariantParts {
  /** Beyond Debian's essential packages. */
  readonly packages: readonly string[];
  /** dpkg's patterns of paths that are never unpacked, by later upgrades neither. */
  readonly excluded: readonly string[];
  /** Node and npm from their own packages. */
  readonly node: boolean;
  readonly account: Account | undefined;
  readonly env: Readonly<Record<string, string>>;
}

/** TLS roots, and ps, top and pkill. */
const smallest = ["ca-certificates", "procps"];

/** The last two build what is no wheel, with no network too; pip brings them along in older releases alone. */
const python = [
  "python3",
  "python3-dev",
  "python3-pip",
  "python3-venv",
  "python-is-python3",
  "python3-setuptools",
  "python3-wheel",
];
const toolchain = ["build-essential", "pkg-config"];
const tools = ["curl", "git", "jq", "less", "openssh-client", "patch", "unzip", "wget", "xz-utils"];

/** What a sandbox has no use for. */
const documentation = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*"];

const unusedCode = [
  // A compiler developers' tool, and Python to be linked statically into another program: 57 MB together.
  "/usr/bin/*-lto-dump-*",
  "/usr/lib/python3*/config-*/libpython*.a",
  // PEP 668's mark, by which pip refuses to install outside of a virtual environment. It protects a machine whose system
  // is to outlive what is tried on it; nothing here is. Debian's pip leaves /usr alone all the same: root's packages come
  // into /usr/local, and those of anybody else into ~/.local. The mark is not unpacked by an upgrade of Python either.
  "/usr/lib/python3*/EXTERNALLY-MANAGED",
];

/** Who has uid 1000, as which the profile `restricted` runs programs: without a name there is no home to write to. */
const account = { name: "user", id: 1000, home: "home/user", loginShell: "/bin/bash" };

const parts: Readonly<Record<BaseVariant, VariantParts>> = {
  minimal: { packages: smallest, excluded: documentation, node: false, account: undefined, env: {} },
  code: {
    packages: [...smallest, ...python, ...toolchain, ...tools],
    excluded: [...documentation, ...unusedCode],
    node: true,
    account,
    // Where pip and npm put that user's programs; last, so that they stand in for none of the system's.
    env: { PATH: `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/${account.home}/.local/bin` },
  },
};

export const partsOf = (variant: BaseVariant): VariantParts => parts[variant];
