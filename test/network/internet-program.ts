// A test Internet in a process of its own, for the test that kills it: tells its directory and waits.
import { startInternet } from "./internet.ts";

const internet = await startInternet();
process.send?.(internet.directory);
process.once("disconnect", () => process.exit(0));
