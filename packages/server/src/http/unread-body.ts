import type { FastifyReply, FastifyRequest } from "fastify";

/** Ends the connection after the answer where a body was not read: it would be waited for before the next request. */
export const closeIfUnread = ({ raw }: FastifyRequest, reply: FastifyReply): void => {
  const hasBody = raw.headers["content-length"] !== undefined || raw.headers["transfer-encoding"] !== undefined;
  if (!raw.complete && hasBody) reply.header("Connection", "close");
};
