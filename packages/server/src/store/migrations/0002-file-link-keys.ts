import { table } from "./0001-first-tables.ts";
import type { Migration } from "./migration.ts";

export const fileLinkKeys: Migration = {
  version: 2,
  name: "file-link-keys",
  up: (transaction, types) =>
    table(
      transaction,
      types,
      "file_link_keys",
      [
        ["sandbox_id", "text"],
        ["key", "text"],
        ["created_at", "integer"],
      ],
      "sandbox_id",
    ),
};
