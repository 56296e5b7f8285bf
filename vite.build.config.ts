import { defineConfig } from "vite";

/**
 * `npm run build`: the program and what it depends on as one file, the children that it starts as others, and what they share. A start reads some 500 files otherwise, which takes as long as all the rest of it. Types are checked by
 * `npm run typecheck`. Packages with machine code stay packages.
 */
export default defineConfig({
  build: {
    ssr: true,
    outDir: "dist",
    emptyOutDir: false,
    target: "node20",
    minify: false,
    sourcemap: true,
    rolldownOptions: {
      input: { "cli/main": "src/cli/main.ts", "runner/scan-secrets": "src/runner/scan-secrets.ts" },
      output: { entryFileNames: "[name].js", chunkFileNames: "shared/[name].js" },
    },
  },
  ssr: { noExternal: true, external: ["better-sqlite3", "unix-dgram"] },
});
