import { judged } from "../security/attack.ts";
import { deniedAnswers4, deniedAnswers6, deniedLiterals, metadataSpellings } from "./denied.ts";
import { addresses, ownPorts } from "./plan.ts";
import {
  apiAddress,
  judgedByWire,
  type NetworkRow,
  neighbourPort,
  neighbourText,
  outcomeWord,
  talked,
  waysOf,
} from "./row.ts";

const hostPorts = [...ownPorts, 22, 2376, 6379, 6443, 10250];
const apiAddressInDecimal = String(apiAddress.split(".").reduce((sum, part) => sum * 256 + Number(part), 0));
const resolverInside = "198.18.0.2";

/** Names of deniedN.example.net for each address, and what is said of them. */
const namesFor = (kind: "a" | "aaaa", all: readonly string[]) =>
  all.map((address, at) => ({ name: `denied-${kind}-${at}.example.net`, address, answer: { [kind]: [address] } }));

export const addressRows: readonly NetworkRow[] = [
  {
    id: "net-denied-literal",
    title: "reaches a private, link-local, metadata or reserved address",
    tried: `TCP to ${Object.keys(deniedLiterals).length} addresses, one of each range: ${Object.values(deniedLiterals).join(", ")}`,
    control: "always-denied ranges, judged on the address dialled",
    attempt: (field) =>
      judgedByWire(field, () =>
        talked(
          field,
          field.open,
          Object.values(deniedLiterals).map((address) => `${address}:80`),
        ),
      ),
  },
  {
    id: "net-denied-name",
    title: "reaches such an address, or the host, by a name that resolves to it",
    tried: `names whose A or AAAA is each of them, loopback, v4-mapped, v4-compatible, NAT64, 6to4 and Teredo forms; ports 80 and ${ownPorts[0]}`,
    control: "always-denied ranges, judged on the gateway's own answer",
    attempt: async (field) => {
      const names = [
        ...namesFor("a", Object.values(deniedAnswers4)),
        ...namesFor("aaaa", Object.values(deniedAnswers6)),
      ];
      await field.internet.say(Object.fromEntries(names.map(({ name, answer }) => [name, answer])));
      const targets = names.flatMap(({ name }) => [80, ownPorts[0]].map((port) => `${name}:${port}`));
      return await judgedByWire(field, () => talked(field, field.open, targets));
    },
  },
  {
    id: "net-metadata-spellings",
    title: "reaches the cloud's metadata service by an odd spelling",
    tried: `a program that reads addresses as C does, with ${metadataSpellings.join(", ")}`,
    control: "always-denied ranges, after unmapping; no IPv6 inside",
    attempt: (field) =>
      judgedByWire(
        field,
        async () => {
          const fetched = async (spelling: string) => {
            const { status, stderr } = await field.open.sh(`curl -gsSf -m 5 'http://${spelling}/latest/meta-data/'`);
            return status === 0 ? "got it" : stderr.trim().replace(spelling, "it");
          };
          const own = await fetched(apiAddressInDecimal);
          if (own !== "got it") throw new Error(`a public address so spelt is not reached either: ${own}`);
          const said: string[] = [];
          for (const spelling of metadataSpellings) said.push(await fetched(spelling));
          // curl asks a proxy for the address as it has read it; here the proxy reads it.
          if (field.level === "proxy")
            said.push(
              ...(await talked(
                field,
                field.open,
                metadataSpellings.map((spelling) => `${spelling}:80`),
              )),
            );
          return said;
        },
        ({ destination }) => destination === apiAddress,
      ),
  },
  {
    id: "net-rebinding",
    title: "reaches a private address by a name that was public when it was asked for",
    tried: "a name with TTL 0 that is public once and private from then on, looked up and dialled five times",
    control: "what the gateway resolves is what it judges and dials",
    attempt: async (field) => {
      const names = ["rebind-a.example.net", "rebind-b.example.net"];
      await field.internet.say({
        "rebind-a.example.net": [
          { a: [apiAddress], ttl: 0 },
          { a: ["10.99.0.7"], ttl: 0 },
        ],
        "rebind-b.example.net": [
          { a: [apiAddress], ttl: 0 },
          { a: ["127.0.0.1"], ttl: 0 },
        ],
      });
      return await judgedByWire(
        field,
        async () => {
          const said: string[] = [];
          for (const name of names)
            for (let times = 0; times < 5; times++) {
              await field.open.probe.lookup(name);
              said.push(...(await talked(field, field.open, [`${name}:80`])));
            }
          return said;
        },
        ({ destination }) => destination === apiAddress,
      );
    },
  },
  {
    id: "net-many-answers",
    title: "reaches a private address among public ones of the same name",
    tried: "names with private and loopback addresses before, between and after public ones that refuse the port",
    control: "each address is judged before it is dialled",
    attempt: async (field) => {
      await field.internet.say({
        "many.example.net": { a: ["10.99.0.7", apiAddress, "127.0.0.1", "169.254.169.254", "203.0.113.21"] },
      });
      return await judgedByWire(
        field,
        // On the second nothing listens: every candidate is tried.
        () =>
          talked(
            field,
            field.open,
            [80, 81, ownPorts[0]].map((port) => `many.example.net:${port}`),
          ),
        ({ destination }) => [apiAddress, "203.0.113.21"].includes(destination),
      );
    },
  },
  {
    id: "net-cname-private",
    title: "reaches a private address by an alias",
    tried: "chains of CNAMEs to names whose addresses are private, the host's own, or metadata",
    control: "always-denied ranges, judged on the gateway's own answer",
    attempt: async (field) => {
      await field.internet.say({
        "inner.example.net": { a: ["10.99.0.7"] },
        "loop.example.net": { a: ["127.0.0.1"] },
        "metadata.google.internal": { a: ["169.254.169.254"] },
        "alias-1.example.net": { cname: "alias-2.example.net" },
        "alias-2.example.net": { cname: "inner.example.net" },
        "alias-3.example.net": { cname: "loop.example.net" },
        "alias-4.example.net": { cname: "metadata.google.internal" },
      });
      const names = ["alias-1.example.net", "alias-3.example.net", "alias-4.example.net", "metadata.google.internal"];
      const targets = names.flatMap((name) => [80, ownPorts[0]].map((port) => `${name}:${port}`));
      return await judgedByWire(field, () => talked(field, field.open, targets));
    },
  },
  {
    id: "net-host-ports",
    title: "reaches the control plane, a database or an engine of the host",
    tried: `the API's own port and ${hostPorts.join(", ")}, at the host's public address, by literal and by name, and by names of loopback and any address; by a proxy also loopback itself`,
    control: "every address of the host's interfaces is denied",
    attempt: async (field) => {
      await field.internet.say({
        "host.example.net": { a: [addresses.host4], aaaa: [addresses.host6] },
        "host6.example.net": { aaaa: [addresses.host6] },
        "localhost.example.net": { a: ["127.0.0.1"], aaaa: ["::1"] },
        "any.example.net": { a: ["0.0.0.0"], aaaa: ["::"] },
      });
      const names = ["host", "host6", "localhost", "any"].map((name) => `${name}.example.net`);
      // By a proxy inside, loopback could be the host's.
      const proxied = field.level === "proxy" ? ["127.0.0.1", "[::1]", "localhost", "0.0.0.0"] : [];
      const whom = [addresses.host4, ...names, ...proxied];
      const targets = [field.server().port, ...hostPorts].flatMap((port) => whom.map((one) => `${one}:${port}`));
      return await judgedByWire(field, () => talked(field, field.open, targets));
    },
  },
  {
    id: "net-other-sandbox",
    title: "reaches a program of another sandbox",
    tried: `a port where the neighbour listens, at its own address, at the resolver's, at the next ones and at the host's`,
    control: "each sandbox has a network namespace and a stack of its own; 198.18/15 is denied",
    attempt: async (field) => {
      const own = await field.neighbour.probe.talk(`127.0.0.1:${neighbourPort}`);
      if (!own.text.includes(neighbourText)) throw new Error(`the neighbour doesn't listen: ${outcomeWord(own)}`);
      await field.internet.say({ "neighbour.example.net": { a: ["198.18.0.1"] } });
      const texts: string[] = [];
      const attempt = async () => {
        const said: string[] = [];
        const whom = [
          "127.0.0.1",
          "198.18.0.1",
          resolverInside,
          "198.18.0.3",
          "198.18.1.0",
          "198.18.1.1",
          addresses.host4,
        ];
        for (const probe of waysOf(field, field.open))
          for (const address of [...whom, "neighbour.example.net"]) {
            const told = await probe.talk(`${address}:${neighbourPort}`);
            texts.push(told.text);
            said.push(outcomeWord(told));
          }
        return said;
      };
      // What stands there inside may be a name's, which is public.
      const wire = await judgedByWire(field, attempt, ({ destination }) =>
        [apiAddress, "2001:db8::20"].includes(destination),
      );
      return texts.some((text) => text.includes(neighbourText)) ? judged(true, neighbourText) : wire;
    },
  },
  {
    id: "net-ipv6",
    title: "goes round the policy by IPv6",
    tried: "TCP to public, private, mapped and translated literals of version 6",
    control: "no IPv6 inside; names have no AAAA; a proxy's literals are judged like any other",
    attempt: async (field) => {
      const literals = ["2001:db8::20", "fd00:ec2::254", "::ffff:10.99.0.7", "64:ff9b::a63:7", "fe80::1"];
      const targets = literals.map((address) => `[${address}]:80`);
      const narrow = await judgedByWire(field, () => talked(field, field.narrow, targets));
      if (narrow.through) return narrow;
      const wire = await judgedByWire(
        field,
        () => talked(field, field.open, targets),
        // A proxy takes literals of either version, and the policy `public` has this one.
        ({ destination }) => field.level === "proxy" && destination === literals[0],
      );
      const { answers } = await field.open.probe.ask("udp", `${resolverInside}:53`, "api.example.com", "AAAA");
      return answers.length > 0 ? judged(true, `AAAA ${answers.map(({ data }) => data).join(", ")}`) : wire;
    },
  },
  {
    id: "net-datagrams",
    title: "sends datagrams to anybody",
    tried: "UDP to ports 443, 123, 161 and 5353 of public, private, broadcast and multicast addresses",
    control: "only TCP is carried; UDP gets ICMP port unreachable, and has no route beside a proxy",
    attempt: (field) =>
      judgedByWire(field, async () => {
        const said: string[] = [];
        for (const address of [apiAddress, "8.8.8.8", "10.99.0.7", "169.254.169.254", "224.0.0.251", "255.255.255.255"])
          for (const port of [443, 123, 161, 5353])
            said.push(outcomeWord(await field.open.probe.datagram(`${address}:${port}`, "data")));
        return said;
      }),
  },
  {
    id: "net-raw",
    title: "sends packets of its own making",
    tried: "ICMP echo, an unassigned protocol and a frame, by raw, ping and packet sockets",
    control: "no NET_RAW; what isn't TCP or DNS is dropped by the stack",
    attempt: (field) =>
      judgedByWire(field, async () => {
        const said: string[] = [];
        for (const address of [apiAddress, "10.99.0.7", addresses.host4])
          said.push(...Object.values(await field.open.probe.raw(address)));
        return said;
      }),
  },
];
