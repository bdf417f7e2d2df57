/** The errno name of a failed system call, for example ENOENT. */
export const errnoOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;

export const isNotFound = (error: unknown): boolean => errnoOf(error) === "ENOENT";
