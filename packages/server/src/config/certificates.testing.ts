import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export interface IssuedPair {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface TestAuthority {
  /** What clients trust. */
  readonly caFile: string;
  /** A pair for vm.example and 127.0.0.1, or for the names given. `days` -1: expired yesterday. */
  issue(name: string, options?: { readonly days?: number; readonly names?: readonly string[] }): IssuedPair;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** For tests: an authority of one's own, made by OpenSSL, with its files in the folder. */
export const makeAuthority = (folder: string): TestAuthority => {
  const openssl = (...args: readonly string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
  const subject = ["-subj", "/CN=Authority of a test"];
  openssl("req", "-x509", ...newKey, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", ...subject, ...usage);
  return {
    caFile: join(folder, "ca.pem"),
    issue(name, { days = 30, names } = {}) {
      const alternatives = names?.map((one) => `DNS:${one}`) ?? ["DNS:vm.example", "IP:127.0.0.1"];
      writeFileSync(join(folder, "names"), `subjectAltName=${alternatives.join(",")}\n`);
      const request = `${name}.csr`;
      openssl("req", "-new", ...newKey, "-keyout", `${name}.key`, "-out", request, "-subj", "/CN=vm.example");
      const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"];
      openssl("x509", "-req", "-in", request, ...by, "-days", String(days), "-out", `${name}.pem`);
      return { certFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}.key`) };
    },
  };
};
