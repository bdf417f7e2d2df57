/** Most values of one condition; far below what either database takes in one statement. */
const valuesMax = 500;

/** Asks for many values, in as few statements as may be; for none without any. */
export const inParts = async <V, R>(
  values: readonly V[],
  ask: (part: readonly V[]) => Promise<readonly R[]>,
): Promise<readonly R[]> => {
  const rows: R[] = [];
  for (let at = 0; at < values.length; at += valuesMax) rows.push(...(await ask(values.slice(at, at + valuesMax))));
  return rows;
};
