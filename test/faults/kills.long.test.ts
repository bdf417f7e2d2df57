import { describeKills } from "./kill-rounds.ts";
import { faultTargets } from "./targets.ts";

for (const target of faultTargets) describeKills(target, Number(process.env.STACYVM_TEST_KILLS ?? 200));
