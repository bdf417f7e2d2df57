/** What a target does not promise: a reason, and the attacks that get through for it. Every other cell is `stopped`. */
export const notPromised: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {};

/** Attacks that can't be tried on a target, by the reason. */
export const notTried: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {};

const reasonIn = (table: typeof notPromised, target: string, id: string): string | undefined =>
  Object.entries(table[target] ?? {}).find(([, ids]) => ids.includes(id))?.[0];

/** Why the attack may get through there; undefined where it must not. */
export const excuse = (target: string, id: string): string | undefined => reasonIn(notPromised, target, id);
/** Why the attack is not tried there; undefined where it is. */
export const omission = (target: string, id: string): string | undefined => reasonIn(notTried, target, id);
