/** Who the audit says it was: the person, else the role with the key that gave it, if one did. */
export const actorName = (who: {
  readonly ownerId: string;
  readonly role: string;
  /** Of a named key. */
  readonly keyId: string;
  /** The header, such as `X-API-Key`, of any other; empty for nobody in particular. */
  readonly keyHeader: string;
}): string => who.ownerId || [who.role, who.keyId || who.keyHeader].filter((part) => part !== "").join(":");
