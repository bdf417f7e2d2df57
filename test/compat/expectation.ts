import type { Difference } from "./differences.ts";
import { type Answer, type Exchange, substitute, type Values } from "./exchange.ts";

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof RegExp);

/** `over` laid over `base`, arrays item by item. */
const lay = (base: unknown, over: unknown): unknown => {
  if (Array.isArray(base) && Array.isArray(over))
    return over.length === 0 ? [] : base.map((item, i) => lay(item, over[i]));
  if (over === undefined) return base;
  if (!isObject(base) || !isObject(over)) return over;
  const laid = Object.entries(over).map(([key, value]) => [key, lay(base[key], value)]);
  return { ...base, ...Object.fromEntries(laid) };
};

const without = (json: unknown, keys: readonly string[]): unknown =>
  isObject(json) ? Object.fromEntries(Object.entries(json).filter(([key]) => !keys.includes(key))) : json;

/** The answer that is right where the recorded one isn't. */
export const intended = (recorded: Answer, difference: Difference | undefined): Answer => {
  if (difference === undefined) return recorded;
  const { json, ...rest } = difference.instead;
  const kept = without(recorded.json, difference.without ?? []);
  const laid = json === undefined ? kept : lay(kept, json);
  return { ...recorded, ...rest, ...(laid === undefined ? {} : { json: laid }) };
};

const visit = (value: unknown, change: (object: Json) => Json): unknown => {
  if (Array.isArray(value)) return value.map((item) => visit(item, change));
  if (!isObject(value)) return value;
  const inner = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, visit(item, change)]));
  return change(inner);
};

const recordedProvider = "docker";

/** Every sandbox: sixteen digits, and a preview address with the port. */
const asOurSandbox =
  (previewDomain: string) =>
  (object: Json): Json => ({
    ...object,
    ...(typeof object.id === "string" && object.id.startsWith("sb-") ? { id: /^sb-[0-9a-f]{16}$/ } : {}),
    ...("preview_domain" in object ? { preview_domain: previewDomain } : {}),
  });

/** A provider has another name here, and its settings are its own. */
const asOurProvider =
  (provider: string) =>
  (object: Json): Json => {
    const renamed = Object.entries(object).map(([key, value]) => [
      key === recordedProvider ? provider : key,
      value === recordedProvider ? provider : value === undefined ? undefined : value,
    ]);
    const settings = isObject(object.config) && "type" in object.config ? { config: {} } : {};
    const names = Array.isArray(object.providers)
      ? { providers: object.providers.map((name) => (name === recordedProvider ? provider : name)) }
      : {};
    return { ...Object.fromEntries(renamed), ...names, ...settings };
  };

export interface Surroundings {
  readonly provider: string;
  readonly previewDomain: string;
  readonly values: Values;
  /** Recorded texts (ids that the recorded server made) to what stands in their place. */
  readonly renamed: ReadonlyMap<string, string>;
}

/** A recorded row as it is asked here. */
export const asked = (exchange: Exchange, difference: Difference | undefined, { provider, values }: Surroundings) => {
  const { path, ...request } = substitute({ ...exchange.request, ...difference?.ask }, values);
  return { ...request, path: path.replace(`/${recordedProvider}`, `/${provider}`) };
};

/** An expected answer in this run's names. `ours` applies what every sandbox has different. */
export const inOurNames = (answer: Answer, surroundings: Surroundings, ours: boolean): Answer => {
  const { provider, previewDomain, renamed, values } = surroundings;
  const json = visit(visit(substitute(answer.json, values), asOurProvider(provider)), (object) =>
    ours ? asOurSandbox(previewDomain)(object) : object,
  );
  const rename = (value: unknown): unknown => {
    if (typeof value === "string") return [...renamed].reduce((text, [from, to]) => text.replaceAll(from, to), value);
    if (Array.isArray(value)) return value.map(rename);
    return isObject(value)
      ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, rename(item)]))
      : value;
  };
  return answer.json === undefined ? answer : { ...answer, json: rename(json) };
};
