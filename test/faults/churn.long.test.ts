import { describeChurn } from "./churn-rounds.ts";
import { faultTargets } from "./targets.ts";

for (const target of faultTargets) {
  describeChurn(target, Number(process.env.STACYVM_TEST_CHURN ?? target.churnRounds));
}
