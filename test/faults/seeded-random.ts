import { randomInt } from "node:crypto";

/** From STACYVM_TEST_SEED, or by chance; whoever takes it prints it. */
export const takeSeed = (): number => Number(process.env.STACYVM_TEST_SEED ?? randomInt(2 ** 31));

/** The same numbers from the same seed (mulberry32), each from 0 up to 1. */
export const seededRandom = (seed: number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

export const shuffled = <T>(items: readonly T[], random: () => number): readonly T[] =>
  items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
