import fc from "fast-check";
import { expect, test } from "vitest";
import { HostileArchiveError, sanitiseEntry } from "./sanitise.ts";
import { headerOf } from "./tar-fixture.ts";

const nameOf = (name: string) => {
  const verdict = sanitiseEntry(headerOf({ name }));
  return verdict.keep ? verdict.header.name : verdict.reason;
};

test("an absolute name means the image's own root", () => {
  expect(nameOf("/etc/passwd")).toBe("etc/passwd");
  expect(nameOf("//etc//./passwd")).toBe("etc/passwd");
  expect(nameOf("./usr/")).toBe("usr");
});

test.each(["..", "../etc/passwd", "a/../../b", "a/..", "/..", "a\0b", "n".repeat(256), "a/".repeat(3000)])(
  "the whole archive is refused for the name %j",
  (name) => {
    expect(() => nameOf(name)).toThrow(HostileArchiveError);
    expect(() => sanitiseEntry(headerOf({ name: "a", type: "hardlink", linkName: name }))).toThrow(HostileArchiveError);
  },
);

test.each([".wh.", ".wh..", ".wh...", "a/.wh..."])("a whiteout that hides no name is refused: %j", (name) => {
  expect(() => nameOf(name)).toThrow(HostileArchiveError);
});

test("whiteouts of a name and of a directory's content stay, another union file system's bookkeeping goes", () => {
  expect(nameOf("a/.wh.b")).toBe("a/.wh.b");
  expect(nameOf("a/.wh..wh..opq")).toBe("a/.wh..wh..opq");
  expect(nameOf(".wh..wh.plnk")).toBe("union-metadata");
});

test("device nodes are left out, and the root's own entry", () => {
  for (const type of ["char", "block"] as const) {
    expect(sanitiseEntry(headerOf({ name: "dev/sda", type }))).toEqual({ keep: false, reason: "device" });
  }
  expect(nameOf("./")).toBe("root");
});

test("of the extended attributes only plain user ones stay", () => {
  const xattrs = {
    "user.mime": "text",
    "user.overlay.redirect": "/etc",
    "trusted.overlay.opaque": "y",
    "security.capability": "x",
    "security.selinux": "x",
    "system.posix_acl_access": "x",
  };
  expect(sanitiseEntry(headerOf({ name: "a", xattrs }))).toMatchObject({ header: { xattrs: { "user.mime": "text" } } });
  const verdict = sanitiseEntry(headerOf({ name: "a", xattrs }));
  expect(verdict.keep && Object.keys(verdict.header.xattrs)).toEqual(["user.mime"]);
});

test("owner and mode stay as they are, set-uid included", () => {
  expect(sanitiseEntry(headerOf({ name: "bin/su", mode: 0o4755, uid: 7, gid: 8 }))).toMatchObject({
    header: { mode: 0o4755, uid: 7, gid: 8 },
  });
});

test("a kept name is relative and has no empty, dot or dot-dot component", () => {
  const component = fc.constantFrom("a", ".", "..", "", "...", ".wh.x", "b c");
  fc.assert(
    fc.property(fc.array(component, { maxLength: 8 }), (components) => {
      try {
        const verdict = sanitiseEntry(headerOf({ name: components.join("/") }));
        if (verdict.keep)
          for (const part of verdict.header.name.split("/")) expect(["", ".", ".."]).not.toContain(part);
      } catch (error) {
        expect(error).toBeInstanceOf(HostileArchiveError);
      }
    }),
  );
});
