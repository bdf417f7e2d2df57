import { defineConfig } from "vitest/config";

const ignored = ["**/node_modules/**", "**/dist/**", "**/.cache/**", "build/**"];

/** Unit tests run side by side; what starts servers, engines or sandboxes runs file by file. */
export default defineConfig({
  resolve: { conditions: ["source"] },
  ssr: { resolve: { conditions: ["source"] } },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["packages/*/{src,test}/**/*.test.ts", "scripts/**/*.test.ts"],
          exclude: [...ignored, "**/*.long.test.ts", "packages/server/src/{providers,images}/**"],
          // Property tests are busy rather than slow; beside other work they take their time.
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: "contract",
          include: ["packages/server/src/{providers,images}/**/*.test.ts"],
          exclude: [...ignored, "**/*.long.test.ts"],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/**/*.test.ts"],
          exclude: [...ignored, "**/*.long.test.ts", "test/network/**"],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
      {
        extends: true,
        test: {
          name: "network",
          include: ["test/network/**/*.test.ts"],
          exclude: [...ignored, "**/*.long.test.ts"],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
      {
        extends: true,
        test: {
          name: "long",
          include: ["{packages,test}/**/*.long.test.ts"],
          exclude: ignored,
          fileParallelism: false,
          testTimeout: 1_200_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
