import { describeKills } from "./kill-rounds.ts";
import { faultTargets } from "./targets.ts";

for (const target of faultTargets) describeKills(target, 20);
