export * from "./errors.ts";
export * from "./ids.ts";
export * from "./operation.ts";
export * from "./operations/exec.ts";
export * from "./operations/files.ts";
export * from "./operations/sandboxes.ts";
export * from "./operations/table.ts";
export * from "./wire.ts";
