/** Class to member to the names of what it takes; undefined for what is no method. */
export type Surface = ReadonlyMap<string, ReadonlyMap<string, readonly string[] | undefined>>;

/** Data that a client gives back to the names of its fields, snake_case. */
export type Shapes = ReadonlyMap<string, readonly string[]>;
