import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";

interface Member {
  readonly name: string;
  readonly content: string;
}

/** A zip archive of files without compression, as a wheel is one. */
const zip = (members: readonly Member[]): Buffer => {
  const bodies: Buffer[] = [];
  const entries: Buffer[] = [];
  let offset = 0;
  for (const { name, content } of members) {
    const [path, data] = [Buffer.from(name), Buffer.from(content)];
    // Version, flags, method, time and date (1980-01-01), checksum, both sizes, length of the name, no more.
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x21, 8);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(path.length, 22);
    bodies.push(Buffer.from("PK\x03\x04"), common, path, data);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    entries.push(Buffer.from("PK\x01\x02\x14\x00"), common, tail, path);
    offset += 4 + common.length + path.length + data.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(members.length, 4);
  end.writeUInt16LE(members.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...bodies, directory, Buffer.from("PK\x05\x06"), end]);
};

/** Puts a pip index with one package, a module of this source, where the test Internet serves `host`. */
export const servePip = (wwwDir: string, host: string, name: string, source: string): void => {
  const folder = join(wwwDir, host, "simple", name);
  mkdirSync(folder, { recursive: true });
  const info = `${name}-1.0.dist-info`;
  const members = [
    { name: `${name}.py`, content: source },
    { name: `${info}/METADATA`, content: `Metadata-Version: 2.1\nName: ${name}\nVersion: 1.0\n` },
    {
      name: `${info}/WHEEL`,
      content: "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    },
  ];
  const record = [...members.map((member) => `${member.name},,`), `${info}/RECORD,,`].join("\n");
  const wheel = `${name}-1.0-py3-none-any.whl`;
  writeFileSync(join(folder, wheel), zip([...members, { name: `${info}/RECORD`, content: `${record}\n` }]));
  writeFileSync(
    join(folder, "index.html"),
    `<!DOCTYPE html><html><body><a href="${wheel}">${wheel}</a></body></html>\n`,
  );
};

/** An npm registry with one package, whose module is this source. */
export const serveNpm = (wwwDir: string, host: string, name: string, source: string): void => {
  const folder = join(wwwDir, host);
  mkdirSync(join(folder, "tarballs"), { recursive: true });
  const work = mkdtempSync(join(wwwDir, "..", "npm-"));
  mkdirSync(join(work, "package"));
  const manifest = { name, version: "1.0.0", main: "index.js" };
  writeFileSync(join(work, "package", "package.json"), JSON.stringify(manifest));
  writeFileSync(join(work, "package", "index.js"), source);
  execFileSync("tar", ["--create", "--gzip", "--file", join(folder, "tarballs", `${name}.tgz`), "-C", work, "package"]);
  rmSync(work, { recursive: true });
  const version = { ...manifest, dist: { tarball: `https://${host}/tarballs/${name}.tgz` } };
  const document = { name, "dist-tags": { latest: "1.0.0" }, versions: { "1.0.0": version } };
  writeFileSync(join(folder, name), JSON.stringify(document));
};

/** A git repository with one file, to be cloned by plain HTTP requests. */
export const serveGit = (wwwDir: string, host: string, name: string, content: string): void => {
  const folder = join(wwwDir, host);
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(wwwDir, "..", "git-"));
  const identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main"];
  const git = (...args: readonly string[]) => execFileSync("git", [...identity, ...args], { cwd: work, stdio: "pipe" });
  git("init");
  writeFileSync(join(work, "file"), content);
  git("add", "file");
  git("commit", "-m", "one file");
  git("clone", "--bare", work, join(folder, `${name}.git`));
  execFileSync("git", ["update-server-info"], { cwd: join(folder, `${name}.git`), stdio: "pipe" });
  rmSync(work, { recursive: true });
};

/** A Debian repository, flat and not signed, with one package: a program of that name that prints the text. */
export const serveApt = (wwwDir: string, host: string, name: string, text: string): void => {
  const folder = join(wwwDir, host);
  const work = mkdtempSync(join(wwwDir, "..", "apt-"));
  mkdirSync(folder, { recursive: true });
  for (const path of ["DEBIAN", "usr/bin"]) mkdirSync(join(work, path), { recursive: true, mode: 0o755 });
  const control = `Package: ${name}\nVersion: 1.0\nArchitecture: all\nMaintainer: test <test@example.com>\nDescription: ${text}\n`;
  writeFileSync(join(work, "DEBIAN/control"), control);
  writeFileSync(join(work, "usr/bin", name), `#!/bin/sh\necho '${text}'\n`, { mode: 0o755 });
  chmodSync(work, 0o755);
  const deb = join(folder, `${name}.deb`);
  execFileSync("dpkg-deb", ["--build", "--root-owner-group", work, deb], { stdio: "pipe" });
  rmSync(work, { recursive: true });
  const content = readFileSync(deb);
  const sum = createHash("sha256").update(content).digest("hex");
  writeFileSync(
    join(folder, "Packages"),
    `${control}Filename: ./${name}.deb\nSize: ${content.length}\nSHA256: ${sum}\n`,
  );
};
