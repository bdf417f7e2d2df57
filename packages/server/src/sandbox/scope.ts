/** Whose a row is. Empty: of no tenant; of its tenant as a whole. */
export interface Place {
  readonly tenantId: string;
  readonly projectId: string;
}

/** Which rows somebody sees. An absent part is no wall; an empty one leaves what is of none. */
export type Scope = Partial<Place>;

/** Every row there is: the server's own view. */
export const everywhere: Scope = {};

/** Where somebody's new rows belong. */
export const placeOf = ({ tenantId = "", projectId = "" }: Scope): Place => ({ tenantId, projectId });

/** Whether a row is one that the scope sees. */
export const isWithin = (row: Partial<Place>, scope: Scope): boolean => {
  const { tenantId, projectId } = placeOf(row);
  return (
    (scope.tenantId === undefined || tenantId === scope.tenantId) &&
    (scope.projectId === undefined || projectId === scope.projectId)
  );
};
