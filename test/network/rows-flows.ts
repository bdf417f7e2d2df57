import { judged } from "../security/attack.ts";
import { proxyInside } from "./probe.ts";
import {
  apiAddress,
  judgedByFarEnd,
  judgedByWire,
  type NetworkRow,
  otherAddress,
  outcomeWord,
  sharedAddress,
  talked,
  tunnelsOf,
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
            for (const probe of tunnelsOf(field, field.narrow))
              for (const size of [1 << 16, 100, 1]) said.push(outcomeWord(await probe.hello(address, sni, size)));
          const allowed = tunnelsOf(field, field.narrow).at(-1);
          const same = await allowed?.hello("one.example.com:443", "One.Example.com", 1);
          if (same?.status !== 1) throw new Error(`the right name is refused too: ${same && outcomeWord(same)}`);
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
            for (const probe of tunnelsOf(field, field.narrow))
              said.push(outcomeWord(await probe.talk("web.example.com:80", text)));
          const same = await tunnelsOf(field, field.narrow)
            .at(-1)
            ?.talk("web.example.com:80", http("WEB.example.com:80"));
          if (!same?.text.includes("reached"))
            throw new Error(`the right Host is refused too: ${same && outcomeWord(same)}`);
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
            // Loopback too is asked of a proxy, where there is one.
            const { status, stderr, stdout } = await field.narrow.sh(
              `curl -sSLf -m 5 --noproxy '' -w '%{num_redirects}' 'http://web.example.com/redirect?to=${encodeURIComponent(to)}'`,
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
    id: "net-proxy-requests",
    title: "has the proxy make one request of two, or another than was judged",
    tried:
      "a Host other than the URL's, a second request in a body whose length is said twice, requests one after the other and in a tunnel, folded lines, userinfo, other schemes, a URL where CONNECT takes a host",
    control: "each request is judged by its own URL, framed anew, and has a connection of its own",
    notAt: { transparent: "programs speak to the far end itself: there is no proxy" },
    attempt: async (field) => {
      const hidden = http("other.example.com", "/hidden");
      const chunked = `0\r\n\r\n${hidden}`;
      const asked = (line: string, ...headers: readonly string[]) => [line, ...headers, "", ""].join("\r\n");
      const last = (line: string, ...headers: readonly string[]) => asked(line, ...headers, "connection: close");
      const texts = [
        last("GET http://web.example.com/a HTTP/1.1", "host: other.example.com"),
        last("GET http://other.example.com/b HTTP/1.1", "host: web.example.com"),
        last("GET http://web.example.com@other.example.com/c HTTP/1.1", "host: web.example.com"),
        last("GET http://other.example.com#web.example.com/d HTTP/1.1", "host: web.example.com"),
        last("GET http://other.example.com\\@web.example.com/e HTTP/1.1", "host: web.example.com"),
        last("GET https://other.example.com/f HTTP/1.1", "host: web.example.com"),
        last("GET ftp://other.example.com/g HTTP/1.1", "host: web.example.com"),
        last("GET /h HTTP/1.1", "host: other.example.com"),
        last("GET http://web.example.com/i HTTP/1.1", "host: web.example.com", " other.example.com"),
        last("GET http://web.example.com/j HTTP/1.1", "host: web.example.com", "host: other.example.com"),
        `${asked("GET http://web.example.com/k HTTP/1.1", "host: web.example.com")}${last("GET http://other.example.com/l HTTP/1.1", "host: web.example.com")}`,
        `${asked("POST http://web.example.com/m HTTP/1.1", "host: web.example.com", `content-length: ${chunked.length}`, "transfer-encoding: chunked")}${chunked}`,
        `${asked("POST http://web.example.com/n HTTP/1.1", "host: web.example.com", "content-length: 0", `content-length: ${hidden.length}`)}${hidden}`,
        `${asked("POST http://web.example.com/o HTTP/1.1", "host: web.example.com", "transfer-encoding: xchunked")}${hidden}`,
        `${asked("GET http://web.example.com/p HTTP/1.1", "host: web.example.com", "connection: upgrade", "upgrade: h2c")}${hidden}`,
        last("CONNECT http://other.example.com:443/ HTTP/1.1", "host: web.example.com:443"),
        last("CONNECT other.example.com:80 HTTP/1.1", "host: web.example.com:80"),
        `${last("CONNECT web.example.com:80 HTTP/1.1", "host: web.example.com:80", `content-length: ${hidden.length}`)}${hidden}`,
        `${asked("CONNECT web.example.com:80 HTTP/1.1", "host: web.example.com:80")}${hidden}`,
      ];
      return await judgedByFarEnd(
        field,
        async () => {
          const said: string[] = [];
          for (const text of texts) {
            const told = await field.narrow.probe.say(proxyInside, text);
            said.push(told.text.match(/(?<=HTTP\/1.1 )\d+/g)?.join(" then ") ?? outcomeWord(told));
          }
          const { connections } = await field.internet.records();
          if (connections.length === 0) throw new Error(`no request came anywhere: ${said.join(", ")}`);
          return said;
        },
        ({ at, requests }) =>
          at !== `${apiAddress}:80` ||
          requests.length > 1 ||
          requests.some(({ host, url }) => host !== "web.example.com" || url === "/hidden"),
      );
    },
  },
  {
    id: "net-none",
    title: "reaches anything with network none",
    tried: "names, literals, datagrams and any resolver",
    control: "a sandbox without network has no interface, and nobody to ask",
    attempt: async (field) => {
      await using closed = await field.spawn({ mode: "none" });
      const wire = await judgedByWire(field, async () => [
        ...(await talked(field, closed, ["api.example.com:443", `${apiAddress}:80`])),
        outcomeWord(await closed.probe.datagram("8.8.8.8:53", "x")),
        (await closed.probe.ask("udp", "198.18.0.2:53", "api.example.com", "A")).code,
      ]);
      const { queries } = await field.internet.records();
      return queries.length > 0 ? judged(true, `asked for ${queries[0]?.name}`) : wire;
    },
  },
];
