/** What `driven` in ../driven.ts is compared with. */
export function drive(
  sdk: typeof import("stacyvm"),
  server: { readonly url: string; readonly apiKey: string },
): Promise<Readonly<Record<string, unknown>>>;
