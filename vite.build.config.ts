import { defineConfig } from "vite";

/**
 * `npm run build`: the program and what it depends on as one file. A start reads some 500 files otherwise, which takes as long as all the rest of it. Types are checked by
 * `npm run typecheck`. Packages with machine code stay packages.
 */
export default defineConfig({
  build: {
    ssr: "src/cli/main.ts",
    outDir: "dist",
    emptyOutDir: false,
    target: "node20",
    minify: false,
    sourcemap: true,
    rolldownOptions: { output: { entryFileNames: "cli/main.js" } },
  },
  ssr: { noExternal: true, external: ["better-sqlite3", "unix-dgram"] },
});
