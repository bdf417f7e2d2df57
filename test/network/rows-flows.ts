import { judged } from "../security/attack.ts";
import {
  apiAddress,
  judgedByFarEnd,
  judgedByWire,
  type NetworkRow,
  otherAddress,
  outcomeWord,
  sharedAddress,
} from "./row.ts";

const http = (host: string, path = "/") => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;

export const flowRows: readonly NetworkRow[] = [
  {
    id: "net-sni",
    title: "asks an allowed name's server for another site by SNI",
    tried:
      "a TLS client hello for other.example.com and two.example.com to allowed names, whole, byte by byte and in pieces",
    control: "a server name other than the flow's resets it before a byte goes out",
    attempt: (field) =>
      judgedByFarEnd(
        field,
        async () => {
          const said: string[] = [];
          for (const [address, sni] of [
            ["api.example.com:443", "other.example.com"],
            ["one.example.com:443", "two.example.com"],
            ["one.example.com:443", "one.example.com.two.example.com"],
          ] as const)
            for (const size of [1 << 16, 100, 1])
              said.push(outcomeWord(await field.narrow.probe.hello(address, sni, size)));
          const same = await field.narrow.probe.hello("one.example.com:443", "One.Example.com", 1);
          if (same.status !== 1) throw new Error(`the right name is refused too: ${outcomeWord(same)}`);
          return said;
        },
        ({ at, sni, received }) =>
          [`${apiAddress}:443`, `${sharedAddress}:443`].includes(at) &&
          received > 0 &&
          sni?.toLowerCase() !== "one.example.com",
      ),
  },
  {
    id: "net-host-header",
    title: "asks an allowed name's server for another site by Host",
    tried: "plain HTTP to web.example.com with Host other.example.com, in one piece and in an absolute request line",
    control: "a Host other than the flow's resets it before a byte goes out",
    attempt: (field) =>
      judgedByFarEnd(
        field,
        async () => {
          const said: string[] = [];
          for (const text of [
            http("other.example.com"),
            http("web.example.com.other.example.com"),
            `GET http://other.example.com/ HTTP/1.1\r\nhost: other.example.com\r\nconnection: close\r\n\r\n`,
            `GET / HTTP/1.1\r\nx: y\r\nHoSt:   other.example.com  \r\nconnection: close\r\n\r\n`,
          ])
            said.push(outcomeWord(await field.narrow.probe.talk("web.example.com:80", text)));
          const same = await field.narrow.probe.talk("web.example.com:80", http("WEB.example.com:80"));
          if (!same.text.includes("reached")) throw new Error(`the right Host is refused too: ${outcomeWord(same)}`);
          return said;
        },
        ({ requests }) => requests.some(({ host }) => !host.toLowerCase().startsWith("web.example.com:80")),
      ),
  },
  {
    id: "net-redirect",
    title: "follows an allowed site's redirect to where it may not go",
    tried: "redirects to a name and an address that aren't allowed, to metadata, and to the host",
    control: "each connection is judged by itself",
    attempt: (field) =>
      judgedByWire(
        field,
        async () => {
          const said: string[] = [];
          for (const to of [
            "http://other.example.com/",
            `http://${otherAddress}/`,
            "http://169.254.169.254/latest/",
            `http://127.0.0.1:${field.server().port}/`,
          ]) {
            const { status, stderr, stdout } = await field.narrow.sh(
              `curl -sSL -m 5 -w '%{num_redirects}' 'http://web.example.com/redirect?to=${encodeURIComponent(to)}'`,
            );
            if (!stdout.endsWith("1")) throw new Error(`the redirect itself was not got: ${stderr}`);
            said.push(status === 0 ? "got it" : (stderr.trim().split(": ").at(-1) ?? ""));
          }
          return said;
        },
        ({ destination }) => destination === apiAddress,
      ),
  },
  {
    id: "net-none",
    title: "reaches anything with network none",
    tried: "names, literals, datagrams and any resolver",
    control: "a sandbox without network has no interface, and nobody to ask",
    attempt: async (field) => {
      await using closed = await field.spawn({ mode: "none" });
      const wire = await judgedByWire(field, async () => [
        outcomeWord(await closed.probe.talk("api.example.com:443", "x")),
        outcomeWord(await closed.probe.talk(`${apiAddress}:80`, "x")),
        outcomeWord(await closed.probe.datagram("8.8.8.8:53", "x")),
        (await closed.probe.ask("udp", "198.18.0.2:53", "api.example.com", "A")).code,
      ]);
      const { queries } = await field.internet.records();
      return queries.length > 0 ? judged(true, `asked for ${queries[0]?.name}`) : wire;
    },
  },
];
