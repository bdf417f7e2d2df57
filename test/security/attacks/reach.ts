import { networkInterfaces } from "node:os";
import { type Attack, isRefusal, judged } from "../attack.ts";
import { metadataAddress, metadataPort } from "../host-targets.ts";

const enginePorts = [2375, 2376, 5432, 5984, 6443, 10250];

/** Connects to each address; whatever is no refusal is a way out, an answer that never comes too. */
const dialAll =
  (addressesOf: (port: number, addresses: readonly string[]) => readonly string[]): Attack["attempt"] =>
  async ({ probe, host }) => {
    const before = host.connections();
    const refused = new Set<string>();
    const open: string[] = [];
    for (const address of addressesOf(host.port, host.addresses)) {
      const answer = await probe(["dial", "tcp", address]);
      if (isRefusal(answer)) refused.add(answer);
      else open.push(`${address}: ${answer}`);
    }
    if (refused.size + open.length === 0) throw new Error("there was no address to try");
    return judged(host.connections() > before || open.length > 0, open[0] ?? [...refused].join(", "));
  };

export const reachAttacks: readonly Attack[] = [
  {
    id: "host-loopback",
    kind: "D",
    title: "reaches a port on the host's loopback, such as the control plane's",
    tried: "127.0.0.1, 127.1.2.3, ::1, 0.0.0.0 and v4-mapped v6, on a port where the host listens",
    control: "own network namespace",
    redWithout: ["network"],
    scenarios: [4],
    attempt: dialAll((port) =>
      ["127.0.0.1", "127.1.2.3", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]"].map((name) => `${name}:${port}`),
    ),
  },
  {
    id: "host-addresses",
    kind: "D",
    title: "reaches the control plane by the host's own addresses",
    tried: "each address of the host, on a port where it listens",
    control: "network `none`",
    redWithout: ["network"],
    attempt: dialAll((port, addresses) =>
      addresses.map((name) => (name.includes(":") ? `[${name}]:${port}` : `${name}:${port}`)),
    ),
  },
  {
    id: "metadata-address",
    kind: "D",
    title: "reaches the cloud's metadata service",
    tried: "169.254.169.254 as itself, as v4-mapped v6, in decimal, octal and hexadecimal, and its v6 form",
    control: "network `none`",
    redWithout: ["network"],
    async attempt(it) {
      const dialled = await dialAll(() => [
        `${metadataAddress}:${metadataPort}`,
        `[::ffff:${metadataAddress}]:${metadataPort}`,
        `[fd00:ec2::254]:${metadataPort}`,
      ])(it);
      if (dialled.through) return dialled;
      const spelt = ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"];
      const before = it.host.connections();
      const { out } = await it.sh(
        `for a in ${spelt.join(" ")}; do wget -q -T 2 -O - http://$a:${metadataPort}/ 2>/dev/null; done; :`,
      );
      return judged(it.host.connections() > before || out !== "", out || dialled.said);
    },
  },
  {
    id: "engine-ports",
    kind: "D",
    title: "reaches ports of engines, databases and orchestrators",
    tried: `${enginePorts.join(", ")} on the host's loopback and addresses`,
    control: "own network namespace",
    attempt: dialAll((_, addresses) =>
      enginePorts.flatMap((port) =>
        ["127.0.0.1", ...addresses.filter((one) => !one.includes(":"))].map((name) => `${name}:${port}`),
      ),
    ),
  },
  {
    id: "private-ranges",
    kind: "D",
    title: "sends anything to private, link-local or public addresses",
    tried: "TCP and UDP to one address of each range",
    control: "network `none`",
    redWithout: ["network"],
    async attempt({ probe, sh }) {
      const addresses = [
        "10.0.0.1",
        "172.17.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "192.0.2.1",
        "169.254.1.1",
        "[fd00::1]",
        "[2001:db8::1]",
      ];
      const answers: string[] = [];
      for (const address of addresses)
        for (const network of ["tcp", "udp"]) answers.push(await probe(["dial", network, `${address}:53`]));
      const { out } = await sh("tail -n +2 /proc/net/route; ls /sys/class/net 2>/dev/null | grep -vx lo; :");
      const open = answers.filter((answer) => !isRefusal(answer));
      return judged(open.length > 0 || out !== "", open[0] ?? (out || [...new Set(answers)].join(", ")));
    },
  },
  {
    id: "host-interfaces",
    kind: "D",
    title: "sees the host's interfaces, addresses or sockets",
    tried: "/proc/net/dev, /proc/net/fib_trie, /proc/net/tcp and /proc/net/unix",
    control: "own network namespace",
    redWithout: ["network"],
    async attempt({ sh, host }) {
      const { out } = await sh("cat /proc/net/dev /proc/net/unix; cat /proc/net/tcp /proc/net/tcp6 2>/dev/null");
      const names = Object.keys(networkInterfaces()).filter((name) => name !== "lo" && out.includes(` ${name}:`));
      const port = `:${host.port.toString(16).toUpperCase().padStart(4, "0")} `;
      const found = [...names, ...[host.abstractName, host.socketPath, port].filter((name) => out.includes(name))];
      return judged(found.length > 0, found.join(", ") || "only its own");
    },
  },
  {
    id: "engine-socket",
    kind: "D",
    title: "reaches an engine's socket",
    tried:
      "usual paths of Docker, containerd, Podman and CRI-O, and the path of a socket that the host has open to everybody",
    control: "no directory of the host is shown",
    scenarios: [6],
    async attempt({ probe, host }) {
      const paths = [
        host.socketPath,
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/podman/podman.sock",
        "/run/crio/crio.sock",
        "/run/systemd/private",
        "/run/dbus/system_bus_socket",
      ];
      const answers = await Promise.all(paths.map((path) => probe(["connect", path])));
      return judged(
        answers.some((answer) => !isRefusal(answer)),
        [...new Set(answers)].join(", "),
      );
    },
  },
  {
    id: "shim-socket",
    kind: "D",
    title: "reaches an abstract socket of the host, as containerd's shims had",
    tried: "the name of an abstract socket that the host listens on (CVE-2020-15257)",
    control: "own network namespace",
    redWithout: ["network"],
    async attempt({ probe, host }) {
      const said = await probe(["dial", "unix", `@${host.abstractName}`]);
      return judged(!isRefusal(said), said);
    },
  },
];
