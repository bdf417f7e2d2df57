import type { Operation } from "@stacyvm/contract";
import { z } from "zod";
import type { AnyAnswer } from "./handler.ts";

/** An answer that its row doesn't declare: a defect of the server, found in tests. */
export class ContractBreach extends Error {
  override readonly name = "ContractBreach";
}

const mediaOf = (answer: AnyAnswer): string | undefined =>
  "body" in answer ? "application/json" : "stream" in answer ? answer.contentType : undefined;

/** Throws ContractBreach unless status, media type and JSON document are what the row declares. */
export const checkAnswer = (operation: Operation, answer: AnyAnswer): void => {
  const content = operation.answers[answer.status];
  if (content === undefined) throw new ContractBreach(`${operation.id} doesn't declare status ${answer.status}`);
  const media = mediaOf(answer);
  const declared = Object.keys(content);
  if (media === undefined) {
    if (declared.length > 0) throw new ContractBreach(`${operation.id} ${answer.status} needs a body`);
    return;
  }
  const schema = Object.hasOwn(content, media) ? content[media] : undefined;
  if (schema === undefined) throw new ContractBreach(`${operation.id} doesn't declare ${media}`);
  if (!("body" in answer) || !(schema instanceof z.ZodType)) return;
  const result = schema.safeParse(JSON.parse(JSON.stringify(answer.body)));
  if (!result.success) throw new ContractBreach(`${operation.id}: ${z.prettifyError(result.error)}`);
};
