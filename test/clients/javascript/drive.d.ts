/** What `driven` in ../driven.ts is compared with. */
export function drive(
  sdk: typeof import("../../../packages/sdk/src/index.ts"),
  server: { readonly url: string; readonly apiKey: string },
): Promise<Readonly<Record<string, unknown>>>;
