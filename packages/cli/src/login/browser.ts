import { spawn } from "node:child_process";

/** Asks the desktop to open an address; where there is none nothing happens, and the address was printed. */
export const openBrowser = (address: string, env: Readonly<Record<string, string | undefined>> = process.env): void => {
  const own = (env.BROWSER ?? "").split(":")[0] ?? "";
  const program = own !== "" ? own : process.platform === "darwin" ? "open" : "xdg-open";
  const child = spawn(program, [address], { stdio: "ignore", detached: true });
  child.once("error", () => {});
  child.unref();
};
