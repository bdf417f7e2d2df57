import { request } from "node:http";

export interface Visit {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly setCookies: readonly string[];
  readonly body: string;
  /** Where the visit ended. */
  readonly url: string;
}

export interface VisitOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** Goes where the answers lead; on where absent. */
  readonly follow?: boolean;
}

/** Follows redirects and keeps cookies by host, ports ignored, as browsers do. Names under localhost are this machine. */
export class Visitor {
  readonly jar = new Map<string, Map<string, string>>();

  cookies(host: string): string {
    return [...(this.jar.get(host) ?? [])].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  async visit(address: string, options: VisitOptions = {}): Promise<Visit> {
    let url = new URL(address);
    for (let hops = 0; hops < 15; hops++) {
      const answer = await this.#once(url, options);
      this.#keep(url.hostname, answer.setCookies);
      const { location } = answer.headers;
      if (options.follow === false || location === undefined) return answer;
      url = new URL(location, url);
    }
    throw new Error("the redirects have no end");
  }

  #keep(host: string, setCookies: readonly string[]): void {
    const kept = this.jar.get(host) ?? new Map<string, string>();
    this.jar.set(host, kept);
    for (const line of setCookies) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/max-age=0/i.test(line) || value === "") kept.delete(name);
      else kept.set(name, value);
    }
  }

  #once(url: URL, { method = "GET", headers = {}, body }: VisitOptions): Promise<Visit> {
    const cookie = this.cookies(url.hostname);
    const sent = { Host: url.host, ...(cookie === "" ? {} : { Cookie: cookie }), ...headers };
    return new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port: url.port, path: url.pathname + url.search, method, headers: sent };
      request(options, (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.once("error", reject);
        answer.once("end", () => {
          const { "set-cookie": setCookies = [], ...rest } = answer.headers;
          const told = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, String(value)]));
          const body = Buffer.concat(parts).toString("utf8");
          resolve({ status: answer.statusCode ?? 0, headers: told, setCookies, body, url: url.href });
        });
      })
        .once("error", reject)
        .end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}
