import type { Config } from "../config/schema.ts";
import type { RegistryOptions } from "./registry-access.ts";

/** What the configuration says about registries. */
export const registryOptions = (images: Config["images"]): RegistryOptions => ({
  insecure: images.insecureRegistries,
  internal: images.internalRegistries,
  credentials: images.registryCredentials,
  ...(images.authFile !== "" && { authFile: images.authFile }),
  proxies: { http: images.httpProxy, https: images.httpsProxy, none: images.noProxy },
});
