import { defineConfig, type Plugin } from "vite";

/**
 * Node keeps the text of what it runs. One character that needs two bytes makes all of them take two: 3.4 MB of
 * a server that has nothing to do.
 */
const oneByteEach: Plugin = {
  name: "one-byte-each",
  generateBundle(_, files) {
    for (const file of Object.values(files))
      if (file.type === "chunk") file.code = file.code.replace(/[^\0-\xff]/g, escaped);
  },
};

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/**
 * `npm run build`: the program and what it depends on as one file, the children that it starts as others, and
 * what they share. A start reads some 500 files otherwise, which takes as long as all the rest of it. Types are
 * checked by `npm run typecheck`. Packages with machine code stay packages.
 */
export default defineConfig({
  plugins: [oneByteEach],
  build: {
    ssr: true,
    outDir: "dist",
    emptyOutDir: false,
    target: "node20",
    minify: false,
    sourcemap: true,
    rolldownOptions: {
      input: {
        "cli/main": "src/cli/main.ts",
        "runner/scan-secrets": "src/runner/scan-secrets.ts",
        "runner/worker": "src/runner/worker.ts",
      },
      output: { entryFileNames: "[name].js", chunkFileNames: "shared/[name].js" },
    },
  },
  ssr: {
    noExternal: true,
    external: ["better-sqlite3", "unix-dgram", "bullmq", "ioredis", "@aws-sdk/client-s3"],
  },
});
