/**
 * A named place where tests may end the process, as `kill -9` would, to see that what was half done is mended. Inert
 * unless the configuration names the step.
 */
export type Failpoint = (step: string) => void;

export const noFailpoint: Failpoint = () => {};
