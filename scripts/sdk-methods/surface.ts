/** Class to member to the names of what it takes; undefined for what is no method. */
export type Surface = ReadonlyMap<string, ReadonlyMap<string, readonly string[] | undefined>>;
