import { expect, test } from "vitest";
import { actorName } from "./actor.ts";

const nobody = { ownerId: "", role: "anonymous", keyId: "", keyHeader: "" };

test.each([
  ["the person", { ...nobody, ownerId: "ada", role: "operator", keyId: "ak-1" }, "ada"],
  ["the named key", { ...nobody, role: "operator", keyId: "ak-1", keyHeader: "X-API-Key" }, "operator:ak-1"],
  [
    "the header of a configured one",
    { ...nobody, role: "admin", keyHeader: "X-Admin-API-Key" },
    "admin:X-Admin-API-Key",
  ],
  ["nobody in particular", nobody, "anonymous"],
])("%s is who it was", (_, who, name) => {
  expect(actorName(who)).toBe(name);
});
